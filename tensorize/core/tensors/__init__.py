"""What is done with a set of tensors: samples in an order, views, and the forms that other libraries take."""
