//! Tokens by developer and model; what they cost where somebody says the prices.

use std::collections::BTreeMap;

use schemas::record::Usage;

use super::fact::{Dimension, Facts};
use super::name::Name;

/// Rows that are listed; the rest is one row.
const LISTED: usize = 20;

/// Prices of a model, in US dollars per million tokens.
#[derive(Clone, Copy, Debug, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Of input tokens that no cache held.
    pub input: f64,
    /// Of those that a cache held; as `input` where nothing is said.
    pub cached_input: Option<f64>,
    /// Of output tokens, those of reasoning among them.
    pub output: f64,
}

/// Prices by model.
pub type Prices = BTreeMap<String, Price>;

/// What a developer used of a model.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, schemars::JsonSchema)]
pub struct Used {
    /// Who; null for the rest together.
    pub developer: Option<String>,
    /// Of which model; null for the rest together.
    pub model: Option<String>,
    /// Exchanges that say what they used.
    pub exchanges: u64,
    /// Input tokens.
    pub input_tokens: u64,
    /// Of these, out of a cache.
    pub cached_input_tokens: u64,
    /// Output tokens.
    pub output_tokens: u64,
    /// Of these, for reasoning.
    pub reasoning_tokens: u64,
    /// US dollars, by the prices that were given; null without a price of that model.
    pub cost_usd: Option<f64>,
}

/// Who used how much.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, schemars::JsonSchema)]
pub struct Usages {
    /// Most tokens first; the last row may be the rest.
    pub rows: Vec<Used>,
    /// All of it.
    pub total: Used,
    /// Not every exchange was read: the figures are those of the ones that were, times how many each
    /// stands for; there are none where no success was.
    pub estimated: bool,
    /// Models without a price among those that were given.
    pub unpriced: Vec<String>,
}

/// Adds up what was used.
#[must_use]
pub fn usages(facts: &Facts, prices: Option<&Prices>) -> Usages {
    if !facts.window.is_told() {
        return Usages { estimated: true, ..Usages::default() };
    }
    let mut sums: BTreeMap<(Option<Name>, Option<Name>), Sum> = BTreeMap::new();
    for fact in &facts.window.facts {
        let Some(usage) = &fact.usage else { continue };
        let weight = match fact.failure {
            Some(_) => facts.window.failure_weight,
            None => facts.window.success_weight,
        };
        let key = (fact.of(Dimension::Developer), fact.of(Dimension::Model));
        sums.entry(key).or_default().add(usage, weight);
    }
    let text =
        |name: Option<Name>| name.map_or("unknown", |name| facts.names.text(name)).to_owned();
    let mut rows = Vec::new();
    let mut unpriced = Vec::new();
    for ((developer, model), sum) in &sums {
        let (developer, model) = (text(*developer), text(*model));
        let mut used = sum.used();
        used.cost_usd = prices.and_then(|prices| Some(cost(&used, prices.get(&model)?)));
        if prices.is_some() && used.cost_usd.is_none() && !unpriced.contains(&model) {
            unpriced.push(model.clone());
        }
        rows.push(Used { developer: Some(developer), model: Some(model), ..used });
    }
    let size = |used: &Used| used.input_tokens + used.output_tokens;
    rows.sort_by(|a, b| size(b).cmp(&size(a)).then_with(|| a.developer.cmp(&b.developer)));
    let total = rows.iter().fold(Used::default(), |sum, one| and(&sum, one));
    if rows.len() > LISTED {
        let rest = rows.split_off(LISTED - 1);
        rows.push(rest.iter().fold(Used::default(), |sum, one| and(&sum, one)));
    }
    unpriced.sort();
    Usages { rows, total, estimated: facts.window.success_weight > 1.0, unpriced }
}

#[derive(Default)]
struct Sum {
    exchanges: f64,
    /// Input, cached input, output, reasoning.
    tokens: [f64; 4],
}

impl Sum {
    fn add(&mut self, usage: &Usage, weight: f64) {
        let Usage {
            input_tokens,
            cached_input_tokens,
            output_tokens,
            reasoning_tokens,
            total_tokens: _,
        } = usage;
        self.exchanges += weight;
        let parts = [input_tokens, cached_input_tokens, output_tokens, reasoning_tokens];
        for (sum, part) in self.tokens.iter_mut().zip(parts) {
            *sum += part.unwrap_or(0) as f64 * weight;
        }
    }

    fn used(&self) -> Used {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts")]
        let whole = |number: f64| number.round() as u64;
        let [input, cached, output, reasoning] = self.tokens.map(whole);
        Used {
            developer: None,
            model: None,
            exchanges: whole(self.exchanges),
            input_tokens: input,
            cached_input_tokens: cached,
            output_tokens: output,
            reasoning_tokens: reasoning,
            cost_usd: None,
        }
    }
}

fn and(sum: &Used, one: &Used) -> Used {
    Used {
        developer: None,
        model: None,
        exchanges: sum.exchanges + one.exchanges,
        input_tokens: sum.input_tokens + one.input_tokens,
        cached_input_tokens: sum.cached_input_tokens + one.cached_input_tokens,
        output_tokens: sum.output_tokens + one.output_tokens,
        reasoning_tokens: sum.reasoning_tokens + one.reasoning_tokens,
        cost_usd: match (sum.cost_usd, one.cost_usd) {
            (None, None) => None,
            (sum, one) => Some(sum.unwrap_or(0.0) + one.unwrap_or(0.0)),
        },
    }
}

fn cost(used: &Used, price: &Price) -> f64 {
    let cached = used.cached_input_tokens.min(used.input_tokens);
    let fresh = (used.input_tokens - cached) as f64 * price.input;
    let cached = cached as f64 * price.cached_input.unwrap_or(price.input);
    (fresh + cached + used.output_tokens as f64 * price.output) / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cached_input_has_its_own_price_and_reasoning_is_output() {
        let used = Used {
            input_tokens: 1_000_000,
            cached_input_tokens: 400_000,
            output_tokens: 100_000,
            reasoning_tokens: 90_000,
            ..Used::default()
        };
        let price = Price { input: 2.0, cached_input: Some(0.5), output: 10.0 };
        assert!((cost(&used, &price) - 2.4).abs() < 1e-9);
        let price = Price { cached_input: None, ..price };
        assert!((cost(&used, &price) - 3.0).abs() < 1e-9);
    }
}
