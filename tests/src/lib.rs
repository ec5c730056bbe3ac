//! Helpers of the tests that stand in the `tests` folder.
