"""Models, one file for each family. Each is an `nn.Module` that is built from shapes: `Model(inputs, outputs, **options)`."""
