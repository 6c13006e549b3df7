# List the recipes
default:
    @just --list

# Format the code
fmt:
    cargo fmt

# Run the lints; warnings are errors
lint:
    cargo fmt --check
    cargo clippy --all-targets --release --locked -- -D warnings

# Run everything a change must pass: `just test quick` and `just test long` are the other forms
test *MODE:
    tests/run {{MODE}}

# Build the documentation of the code
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --document-private-items --locked --open

# Run the benchmarks; they print figures and assert none
bench:
    cargo bench --locked

# Build the program to install, and print its size
release:
    cargo build --profile dist --locked
    ls -lh target/dist/sales-pipeline

# Run the daemon on the demo
demo:
    cargo run --release --locked -- --demo run

# Check licenses, sources and advisories of the dependencies; needs cargo-deny
deny:
    cargo deny check
