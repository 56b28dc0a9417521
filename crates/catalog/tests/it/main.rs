//! The catalogue as others see it.

#[cfg(test)]
mod cost;
#[cfg(test)]
mod models;
#[cfg(test)]
mod overrides;
#[cfg(test)]
mod providers;
#[cfg(test)]
mod resolve;
