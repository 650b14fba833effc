//! Empty: the package consists of its integration tests.
