//! What a test may order to go wrong with an invocation.

/// One misfortune of one invocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The environment is killed at this moment.
    Kill(Moment),
    /// The POST of the response is answered with this status at once, and its body not read.
    RefuseResponse(u16),
    /// The connection of the POST breaks when at least this many bytes of it, prelude included, have
    /// come.
    BreakResponse {
        /// How many bytes are taken in.
        after_bytes: usize,
    },
}

/// When an environment is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The event is handed over; the function does not get to read it.
    Delivered,
    /// The prelude has come, and been sent on to the client.
    Prelude,
    /// Exactly this many bytes of the body have been sent on to the client.
    BodyBytes(usize),
}
