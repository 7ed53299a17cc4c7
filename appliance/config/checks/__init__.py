"""What no single value can tell: whether addresses, translation and VRRP fit together. Pure.

`all_checks` runs `addresses`, `nat` and `vrrp`.
"""
