# The list of recipes.
default:
    @just --list

# Format, lints and the quick tests: the inner loop.
quick:
    tests/run quick

# Everything a change must pass.
test:
    tests/run

# The long forms of the tests as well.
long:
    tests/run long

# The daemon on the five demo deals.
demo:
    cargo run --release --locked -- --demo run

# Licences, sources and advisories of the dependencies; needs cargo-deny.
deny:
    cargo deny check
