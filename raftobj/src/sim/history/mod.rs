//! What clients saw, and whether it could have happened.
