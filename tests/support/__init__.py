"""What tests share: small real things to build, and how to wait for what happens elsewhere."""
