//! What tells how to mend a refusal by Lambda, asked beside the observation where it can matter: how
//! many slots the account has left, and which right to call the function is missing.

use schemas::symptom::AwsAct;

use crate::aws::Trouble;
use crate::aws::capacity::AccountSlots;
use crate::aws::cloudwatch::{Counts, Observed, Unseen};
use crate::aws::deployment::Deployment;
use crate::aws::deployment::lambda::Lambda;
use crate::aws::permission::Action;
use crate::aws::validate::door;

/// What was seen beside. What was not asked for is `None`, as is what may not be seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Aside {
    /// The account's slots.
    pub account: Option<AccountSlots>,
    /// Rights to call the function through its URL that its policy does not give.
    pub missing_rights: Option<Vec<&'static str>>,
}

/// Looks at what mends a refusal of this kind, where one was observed, and tells the observation.
pub(crate) async fn look_aside(
    observed: &mut Observed,
    deployment: &Deployment,
    act: Option<AwsAct>,
) {
    if deployment.region.is_none() {
        return;
    }
    let aside = &mut observed.aside;
    let of_minute = |count: fn(&Counts) -> Option<u64>| {
        observed.minutes.iter().any(|minute| count(&minute.counts).is_some_and(|count| count > 0))
    };
    let unseen = match act {
        Some(AwsAct::Throttle) if of_minute(|counts| counts.throttles) => {
            match account(deployment).await {
                Ok(account) => {
                    aside.account = Some(account);
                    None
                }
                Err(unseen) => Some(unseen),
            }
        }
        Some(AwsAct::Forbid) if of_minute(|counts| counts.url_requests) => {
            match policy(deployment).await {
                Ok(policy) => {
                    aside.missing_rights = Some(door::missing(&policy));
                    None
                }
                // There is a function, since it was asked; and no policy at all gives no right.
                Err(Trouble::Missing(_)) if deployment.configuration.is_some() => {
                    aside.missing_rights = Some(door::missing(""));
                    None
                }
                Err(trouble) => Some(Unseen {
                    action: Action::GetPolicy,
                    trouble,
                    means: "cannot tell which permission is missing",
                }),
            }
        }
        _ => None,
    };
    observed.unseen.extend(unseen);
}

async fn policy(deployment: &Deployment) -> Result<String, Trouble> {
    Lambda::new(deployment.config()).policy(&deployment.function).await
}

/// Asks for the account's slots.
pub(crate) async fn account(deployment: &Deployment) -> Result<AccountSlots, Unseen> {
    let unseen = |trouble| Unseen {
        action: Action::GetAccountSettings,
        trouble,
        means: "cannot tell how many slots the account has left",
    };
    if deployment.region.is_none() {
        return Err(unseen(Trouble::NoRegion));
    }
    let account = Lambda::new(deployment.config()).account().await.map_err(unseen)?;
    Ok(AccountSlots { slots: account.slots, free: account.free() })
}
