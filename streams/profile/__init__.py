"""Reference profiles: what a model's data looked like when all was well."""
