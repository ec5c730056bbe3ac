//! Both halves together, against streams of frames made by hand and by chance.

mod deflate;
mod deflate_any;
mod deflate_fragments;
mod pair;
mod prepared;
mod streaming;
