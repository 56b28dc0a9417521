//! Provider credentials: bound to their origins, attached as the last step, never read.
