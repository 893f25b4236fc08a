//! What tells how to mend a refusal by Lambda, asked beside the observation where it can matter: how
//! many slots the account has left, and which right to call the function is missing.

use schemas::symptom::AwsAct;

use crate::aws::Trouble;
use crate::aws::capacity::AccountSlots;
use crate::aws::cloudwatch::Unseen;
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

/// Looks at what mends a refusal of this kind; the second is what could not be seen.
pub(crate) async fn aside(deployment: &Deployment, act: Option<AwsAct>) -> (Aside, Option<Unseen>) {
    let lambda = Lambda::new(deployment.config());
    let mut aside = Aside::default();
    if deployment.region.is_none() {
        return (aside, None);
    }
    let unseen = match act {
        Some(AwsAct::Throttle) => match account(deployment).await {
            Ok(account) => {
                aside.account = Some(account);
                None
            }
            Err(unseen) => Some(unseen),
        },
        Some(AwsAct::Forbid) => match lambda.policy(&deployment.function).await {
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
        },
        _ => None,
    };
    (aside, unseen)
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
