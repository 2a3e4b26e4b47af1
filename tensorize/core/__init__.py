"""What everything stands on: errors, contracts, schema, options, recipe and tensor set."""
