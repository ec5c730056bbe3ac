//! The closing handshake (RFC 6455 section 7) as one state machine.
//!
//! Each side sends one close frame. After its own a side sends no data; after the peer's it reads
//! none. A violation closes too, but waits for nothing.
//!
//! ```text
//!            SendClose                ReceiveClose
//!   Open ───────────────▶ CloseSent ───────────────▶ Closed
//!    │ │                      │                         ▲
//!    │ └──────────────────────┼─────────────────────────┘
//!    │    ReceiveClose: answered in the same step
//!    │                        │
//!    └───Violate, Lose─────────┴──────▶ Failed
//! ```

/// How far the closing handshake has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Closing {
    /// It has not begun: both sides may send.
    #[default]
    Open,
    /// This side has sent its close frame and still reads what the peer sent before it saw it.
    CloseSent,
    /// Both close frames have passed: the connection is closed cleanly.
    Closed,
    /// The peer violated the protocol and has been told so, or the connection below was lost.
    /// Nothing more is read or sent.
    Failed,
}

/// What happens on a connection, as far as the closing handshake is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The caller wants to send data or a ping.
    Send,
    /// A ping of the peer's wants its pong.
    SendPong,
    /// The caller wants to close.
    SendClose,
    /// A frame other than a close has arrived.
    Receive,
    /// The peer's close frame has arrived.
    ReceiveClose,
    /// The peer has done what it must not.
    Violate,
    /// The connection below has ended without a closing handshake.
    Lose,
}

/// What is to be done about a [`Step`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Send it, or hand it to the caller.
    Proceed,
    /// As `Proceed`, and this side's close frame is due as well.
    ProceedAndClose,
    /// It comes too late: send nothing, hand over nothing.
    Ignore,
}

impl Closing {
    /// What follows from `step`: the next state and what is to be done.
    #[must_use]
    pub(crate) const fn on(self, step: Step) -> (Self, Verdict) {
        use Verdict::{Ignore, Proceed, ProceedAndClose};
        match (self, step) {
            (Self::Open, Step::Send | Step::SendPong | Step::Receive) => (Self::Open, Proceed),
            (Self::Open, Step::SendClose) => (Self::CloseSent, ProceedAndClose),
            //= RFC 6455 5.5.1: If an endpoint receives a Close frame and did not previously send
            //= a Close frame, the endpoint MUST send a Close frame in response.
            (Self::Open, Step::ReceiveClose) => (Self::Closed, ProceedAndClose),
            (Self::Open, Step::Violate) => (Self::Failed, ProceedAndClose),
            (Self::Open | Self::CloseSent, Step::Lose) => (Self::Failed, Ignore),

            //= RFC 6455 5.5.1: The application MUST NOT send any more data frames after sending a
            //= Close frame.
            (Self::CloseSent, Step::Send | Step::SendClose) => (Self::CloseSent, Ignore),
            //= RFC 6455 5.5.2: Upon receipt of a Ping frame, an endpoint MUST send a Pong frame in
            //= response, unless it already received a Close frame.
            (Self::CloseSent, Step::SendPong) => (Self::CloseSent, Proceed),
            // What the peer sent before it saw our close frame is not lost.
            (Self::CloseSent, Step::Receive) => (Self::CloseSent, Proceed),
            (Self::CloseSent, Step::ReceiveClose) => (Self::Closed, Proceed),
            // The one close frame of this side has been sent, with another code.
            (Self::CloseSent, Step::Violate) => (Self::Failed, Proceed),

            //= RFC 6455 1.4: after receiving a control frame indicating the connection should be
            //= closed, a peer discards any further data received.
            (
                Self::Closed,
                Step::Send
                | Step::SendPong
                | Step::SendClose
                | Step::Receive
                | Step::ReceiveClose
                | Step::Violate
                | Step::Lose,
            ) => (Self::Closed, Ignore),
            //= RFC 6455 7.1.7: An endpoint MUST NOT continue to attempt to process data (including
            //= a responding Close frame) from the remote endpoint after being instructed to _Fail
            //= the WebSocket Connection_.
            (
                Self::Failed,
                Step::Send
                | Step::SendPong
                | Step::SendClose
                | Step::Receive
                | Step::ReceiveClose
                | Step::Violate
                | Step::Lose,
            ) => (Self::Failed, Ignore),
        }
    }

    /// Whether this side may still send messages.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Open)
    }

    /// Whether nothing is left to do but to end the connection below: its last byte has been
    /// written and nothing more will be read.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Closed | Self::Failed)
    }
}

#[cfg(test)]
mod tests {
    use super::{Closing, Step, Verdict};

    const STATES: [Closing; 4] =
        [Closing::Open, Closing::CloseSent, Closing::Closed, Closing::Failed];
    const STEPS: [Step; 7] = [
        Step::Send,
        Step::SendPong,
        Step::SendClose,
        Step::Receive,
        Step::ReceiveClose,
        Step::Violate,
        Step::Lose,
    ];

    #[test]
    fn every_step_in_every_state() {
        use Closing::{CloseSent, Closed, Failed, Open};
        use Verdict::{Ignore, Proceed, ProceedAndClose};
        let table = [
            [
                (Open, Proceed),
                (Open, Proceed),
                (CloseSent, ProceedAndClose),
                (Open, Proceed),
                (Closed, ProceedAndClose),
                (Failed, ProceedAndClose),
                (Failed, Ignore),
            ],
            [
                (CloseSent, Ignore),
                (CloseSent, Proceed),
                (CloseSent, Ignore),
                (CloseSent, Proceed),
                (Closed, Proceed),
                (Failed, Proceed),
                (Failed, Ignore),
            ],
            [(Closed, Ignore); 7],
            [(Failed, Ignore); 7],
        ];
        for (state, row) in STATES.into_iter().zip(table) {
            for (step, expected) in STEPS.into_iter().zip(row) {
                assert_eq!(state.on(step), expected, "{state:?} {step:?}");
            }
        }
    }

    #[test]
    fn one_close_frame_on_every_path() {
        // Every walk of four steps from the start asks for at most one close frame, and asks for
        // none once the handshake is over.
        for walk in 0..STEPS.len().pow(4) {
            let (mut state, mut closes, mut rest) = (Closing::Open, 0, walk);
            for _ in 0..4 {
                let was_over = state.is_over();
                let (next, verdict) = state.on(STEPS[rest % STEPS.len()]);
                rest /= STEPS.len();
                closes += u32::from(verdict == Verdict::ProceedAndClose);
                assert!(!was_over || verdict == Verdict::Ignore);
                state = next;
            }
            assert!(closes <= 1);
            assert!(closes == 0 || !state.is_open());
        }
    }
}
