"""A GitHub on this machine: its REST API as far as the function asks it, and an issuer of tokens with TLS and JWKS."""
