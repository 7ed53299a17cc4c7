"""The file gateway.yaml: read, checked, and either a frozen Config or all of its errors. Pure.

Read in this order: `gateway_file` (the whole way), `model` (what can be said), `profiles` (what each
sets), `value_types` and `scalars` (how one value is read), `places` (YAML that knows line and column),
`checks` (what must fit together), `error_messages`, `schema` (for editors), `owned_addresses` (who has
which address by the file), `fixed_sysctls` (what is not the operator's to choose), `alike` (what both
nodes must say alike).
"""
