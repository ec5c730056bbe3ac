//! What is in flight when a driver is dropped, and the memory that it may still write to.
//!
//! The runtime keeps what an operation was given until that has ended, but not when the runtime
//! itself ends: then it drops all of it first, and waits for the kernel after that. So the memory
//! of receives is nothing that they are given. A task of the runtime has it from the driver, and
//! gives it back when it has seen every receive end. Where the runtime ends before, the task is
//! dropped before, and nobody can tell any more: then it is never given back.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::operations::Flight;
use crate::driver::memory::Memory;

/// Receives in flight and the memory that they may write to.
pub(super) struct Remains {
    memory: Option<Arc<Memory>>,
    receives: Vec<Flight<Rc<OwnedFd>>>,
}

/// The task's side and the driver's of what is left behind.
#[derive(Default)]
struct Will {
    remains: RefCell<Option<Remains>>,
    /// The driver is gone: nothing comes any more.
    is_over: Cell<bool>,
    task: RefCell<Option<Waker>>,
}

/// Who gets what is left behind: a task of the runtime on the calling thread.
pub(super) struct Heir {
    will: Rc<Will>,
}

impl Remains {
    pub(super) fn new(memory: Arc<Memory>, receives: Vec<Flight<Rc<OwnedFd>>>) -> Self {
        Self { memory: Some(memory), receives }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.receives.retain_mut(|receive| {
            let ended: Poll<_> = Future::poll(Pin::new(receive), context);
            ended.is_pending()
        });
        if self.receives.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for Remains {
    fn drop(&mut self) {
        if let (Some(memory), false) = (self.memory.take(), self.receives.is_empty()) {
            memory.keep();
        }
    }
}

impl Heir {
    pub(super) fn new() -> Self {
        let will = Rc::new(Will::default());
        let mine = Rc::clone(&will);
        tokio_uring::spawn(poll_fn(move |context| {
            if !mine.is_over.get() {
                *mine.task.borrow_mut() = Some(context.waker().clone());
                return Poll::Pending;
            }
            mine.remains.borrow_mut().as_mut().map_or(Poll::Ready(()), |left| left.poll(context))
        }));
        Self { will }
    }

    /// Leaves something behind, which is kept for good where the task is gone.
    pub(super) fn inherit(self, remains: Remains) {
        *self.will.remains.borrow_mut() = Some(remains);
    }
}

impl Drop for Heir {
    fn drop(&mut self) {
        self.will.is_over.set(true);
        if let Some(task) = self.will.task.take() {
            task.wake();
        }
    }
}
