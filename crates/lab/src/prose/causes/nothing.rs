//! Where nothing is wrong, and where nobody knows what is.

use super::Wording;
use crate::prose::template::Pool;
use sre::cause::Cause;

pub(super) const WORDINGS: [Wording; 1] = [Wording {
    cause: Cause::None,
    symptom: Pool {
        train: &[
            "What moved, moved [a little|within its usual bounds] and by itself.",
            "There were small changes here and there, with nothing to connect them.",
            "Nothing failed, and nobody waited longer than usual.",
        ],
        test: &[
            "The picture was that of an ordinary day.",
            "A few wiggles, none of them out of character.",
        ],
    },
    why: Pool {
        train: &[
            "[No fault was found|Nothing is wrong]: what is to be seen is ordinary noise and ordinary work.",
            "The lines do not add up to a fault; each has a harmless reason of its own.",
            "Load and noise of a normal hour explain all of it.",
        ],
        test: &[
            "There is no disease here, only a nervous thermometer.",
            "All of this belongs to the daily course of the system.",
        ],
    },
    fix: Pool {
        train: &[
            "[Nothing has to be done|No action is needed].",
            "Leave everything as it is and keep watching.",
            "The best action here is none.",
        ],
        test: &["Hands off.", "No step is called for."],
    },
    prevention: Pool {
        train: &[
            "Look at the threshold of the alarm.",
            "Let the alarm wait for a few minutes before it is raised.",
            "Write down that this was a false alarm.",
        ],
        test: &["Make the alarm less jumpy.", "Collect false alarms and review them monthly."],
    },
}];

pub(super) const UNKNOWN: Wording = Wording {
    cause: Cause::Unknown,
    symptom: Pool {
        train: &[
            "Callers suffered, and what is to be seen does not say from what.",
            "There is clearly trouble, but [its source|where it begins] does not show.",
            "The lines show who suffers rather than why.",
        ],
        test: &["Damage was plain, its origin was not.", "One sees the smoke, not the fire."],
    },
    why: Pool {
        train: &[
            "The evidence [is not enough|does not suffice] to name a cause, and none is named.",
            "What would tell the cause apart from others is missing here.",
            "Several explanations fit equally well, so a human has to look.",
        ],
        test: &[
            "A verdict would be a guess, and so there is none.",
            "The decisive trace was not recorded.",
        ],
    },
    fix: Pool {
        train: &[
            "[Hand over|Pass it on] to somebody who knows the service.",
            "No change is proposed: ask a human.",
            "Do not touch anything before more is known.",
        ],
        test: &["Fetch an expert.", "Escalate it, and do not experiment."],
    },
    prevention: Pool {
        train: &[
            "Find out which measurement would have told, and add it.",
            "Write the cause down once it is found.",
            "Check that logs and metrics of the service arrive.",
        ],
        test: &["Close the gap in what is recorded.", "Record more of this service."],
    },
};
