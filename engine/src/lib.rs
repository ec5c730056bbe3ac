//! A strict WebSocket server engine on Linux io_uring.
