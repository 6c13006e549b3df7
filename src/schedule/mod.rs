//! What is due, and the tick.
