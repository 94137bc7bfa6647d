//! What the state of a job's run can be.

use super::State;
use crate::Job;

/// Checks that a run of `job` can stand where `state` says.
///
/// # Errors
/// What cannot be, in words.
pub(super) fn state(state: &State, job: &Job) -> Result<(), String> {
    let State { step, epoch, cursor, .. } = *state;
    if step > job.total_steps() {
        return Err(format!("is at step {step} of {}", job.total_steps()));
    }
    let (right_epoch, right_cursor) = job.position(step).map_err(|error| error.to_string())?;
    if (epoch, cursor) != (right_epoch, right_cursor) {
        return Err(format!(
            "is at micro-batch {cursor} of epoch {epoch}, but step {step} ends at micro-batch {right_cursor} of epoch {right_epoch}"
        ));
    }
    if state.trained_tokens > state.tokens {
        return Err(format!("trained {} of {} tokens", state.trained_tokens, state.tokens));
    }
    if state.stale > step {
        return Err(format!("had {} evaluations without a new best in {step} steps", state.stale));
    }
    if let Some(best) = state.best.filter(|best| !(1..=step).contains(&best.step)) {
        return Err(format!("has its best loss at step {}, but is at step {step}", best.step));
    }
    let losses = [state.initial, state.held_out, state.best.map(|best| best.loss)];
    match losses.into_iter().flatten().find(|loss| !loss.is_finite()) {
        Some(loss) => Err(format!("has a held-out loss of {loss}, expected a finite number")),
        None => Ok(()),
    }
}
