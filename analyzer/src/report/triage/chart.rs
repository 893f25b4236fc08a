//! Charts of the timeline, as SVG that needs nothing else: failures by origin with throttles over them, slots,
//! and the wait for OpenAI.

use std::fmt::Write as _;

use jiff::tz::TimeZone;
use schemas::origin::Origin;

use super::html::escaped;
use super::moment;
use crate::number::grouped;
use crate::report::duration;
use crate::triage::page::Page;
use crate::triage::timeline::Step;

/// Width of a chart, in its own units.
const WIDTH: f64 = 1_000.0;
/// Room for the numbers at its left.
const LEFT: f64 = 60.0;
/// Room above, and below for the times.
const TOP: f64 = 12.0;
const BOTTOM: f64 = 22.0;
/// Times that are written below.
const TICKS: usize = 6;

/// A chart being drawn.
struct Chart<'a> {
    page: &'a Page,
    zone: &'a TimeZone,
    height: f64,
    most: f64,
    svg: String,
}

/// Draws failures by origin, throttles over them, and the incidents behind them.
pub(super) fn failures(page: &Page, zone: &TimeZone) -> String {
    let steps = &page.timeline.steps;
    let most = |of: &dyn Fn(&Step) -> u64| steps.iter().map(of).max().unwrap_or(0);
    let failed = most(&|step| step.failed.values().sum());
    let throttles = most(&|step| step.throttles.unwrap_or(0));
    let mut chart = Chart::new(page, zone, 220.0, failed.max(throttles) as f64, |most| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
        let most = most as u64;
        grouped(most)
    });
    chart.incidents();
    for (at, step) in steps.iter().enumerate() {
        let mut below = 0.0;
        for (origin, count) in &step.failed {
            chart.bar(at, below, *count as f64, origin.as_str());
            below += *count as f64;
        }
    }
    if throttles > 0 {
        let values = steps.iter().map(|step| step.throttles.map(|count| count as f64));
        chart.line(values.collect(), "throttles");
    }
    let title = "Failed exchanges by origin over time";
    let more =
        if throttles > 0 { ", and requests that Lambda refused for want of a slot" } else { "" };
    let peaks = format!(
        "At most {} failed exchanges in a step of {} min{}.",
        grouped(failed),
        page.timeline.step_minutes,
        if throttles > 0 {
            format!(", and {} throttles", grouped(throttles))
        } else {
            String::new()
        }
    );
    chart.finish("errors", &format!("{title}{more}"), &peaks)
}

/// Draws slots in use, and how many there are; `None` where nobody saw them.
pub(super) fn slots(page: &Page, zone: &TimeZone) -> Option<String> {
    let steps = &page.timeline.steps;
    let used = steps.iter().filter_map(|step| step.concurrent_max).max()?;
    let most = used.max(page.timeline.slots.unwrap_or(0).into());
    let mut chart = Chart::new(page, zone, 120.0, most as f64, |most| format!("{most:.0}"));
    for (at, step) in steps.iter().enumerate() {
        chart.bar(at, 0.0, step.concurrent_max.unwrap_or(0) as f64, "slots");
    }
    let mut peaks = format!("At most {} slots in use.", grouped(used));
    if let Some(slots) = page.timeline.slots {
        chart.level(f64::from(slots), "limit");
        peaks = format!("At most {} of {slots} slots in use.", grouped(used));
    }
    Some(chart.finish("slots", "Slots of the Lambda function in use", &peaks))
}

/// Draws the median wait for OpenAI's first byte; `None` where nobody measured it.
pub(super) fn wait(page: &Page, zone: &TimeZone) -> Option<String> {
    let steps = &page.timeline.steps;
    let most = steps.iter().filter_map(|step| step.openai_first_byte_ms).max_by(f64::total_cmp)?;
    let mut chart = Chart::new(page, zone, 120.0, most, duration);
    chart.line(steps.iter().map(|step| step.openai_first_byte_ms).collect(), "wait");
    let peaks = format!("At most {} at the median of a step.", duration(most));
    Some(chart.finish("wait", "Wait for OpenAI's first byte, median", &peaks))
}

/// Names the colours of the origins that are drawn.
pub(super) fn legend(page: &Page) -> String {
    let steps = &page.timeline.steps;
    let mut items = String::new();
    for origin in Origin::ALL {
        let count: u64 = steps.iter().filter_map(|step| step.failed.get(&origin)).sum();
        if count > 0 {
            let _ = write!(
                items,
                "<li><svg viewBox=\"0 0 10 10\" aria-hidden=\"true\"><rect width=\"10\" height=\"10\" \
                 class=\"{origin}\"/></svg>{origin}, {}</li>",
                grouped(count)
            );
        }
    }
    let throttles: u64 = steps.iter().filter_map(|step| step.throttles).sum();
    if throttles > 0 {
        let _ = write!(
            items,
            "<li><svg viewBox=\"0 0 10 10\" aria-hidden=\"true\"><path d=\"M0 5H10\" class=\"throttles\"/></svg>\
             throttles, {}</li>",
            grouped(throttles)
        );
    }
    format!("<ul class=\"legend\">{items}</ul>")
}

impl<'a> Chart<'a> {
    fn new(
        page: &'a Page,
        zone: &'a TimeZone,
        height: f64,
        most: f64,
        label: impl Fn(f64) -> String,
    ) -> Self {
        let mut chart = Self { page, zone, height, most: most.max(1.0), svg: String::new() };
        let (top, bottom) = (chart.y(chart.most), chart.y(0.0));
        let label = escaped(&label(chart.most));
        let middle = top + 4.0;
        let _ = write!(
            chart.svg,
            "<path class=\"axis\" d=\"M{LEFT} {top}H{WIDTH}M{LEFT} {bottom}H{WIDTH}\"/>\
             <text x=\"{x}\" y=\"{middle}\" text-anchor=\"end\">{label}</text>\
             <text x=\"{x}\" y=\"{bottom}\" text-anchor=\"end\">0</text>",
            x = LEFT - 8.0
        );
        chart
    }

    fn x(&self, at: usize) -> f64 {
        let steps = self.page.timeline.steps.len().max(1) as f64;
        LEFT + (WIDTH - LEFT) * at as f64 / steps
    }

    fn y(&self, value: f64) -> f64 {
        let room = self.height - TOP - BOTTOM;
        self.height - BOTTOM - room * value / self.most
    }

    fn bar(&mut self, at: usize, below: f64, value: f64, class: &str) {
        if value <= 0.0 {
            return;
        }
        let (x, y) = (self.x(at), self.y(below + value));
        let (width, height) = ((self.x(at + 1) - x - 0.5).max(0.5), self.y(below) - y);
        let _ = write!(
            self.svg,
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"/>"
        );
    }

    /// Draws a line through the middles of the steps, with gaps where there is no value.
    fn line(&mut self, values: Vec<Option<f64>>, class: &str) {
        let mut path = String::new();
        let mut is_open = false;
        for (at, value) in values.into_iter().enumerate() {
            let Some(value) = value else {
                is_open = false;
                continue;
            };
            let x = f64::midpoint(self.x(at), self.x(at + 1));
            let _ = write!(path, "{}{x:.1} {:.1}", if is_open { 'L' } else { 'M' }, self.y(value));
            is_open = true;
        }
        let _ = write!(self.svg, "<path class=\"{class}\" d=\"{path}\"/>");
    }

    fn level(&mut self, value: f64, class: &str) {
        let y = self.y(value);
        let _ = write!(self.svg, "<path class=\"{class}\" d=\"M{LEFT} {y:.1}H{WIDTH}\"/>");
    }

    /// Marks when the incidents were, by their numbers.
    fn incidents(&mut self) {
        let Some(first) = self.page.timeline.steps.first().map(|step| step.at) else { return };
        let length = self.page.timeline.step_minutes as f64 * 60.0;
        let steps = self.page.timeline.steps.len() as f64;
        for (index, story) in self.page.incidents.iter().enumerate() {
            let place = |at: jiff::Timestamp| {
                let steps_in = at.duration_since(first).as_secs_f64() / length;
                LEFT + (WIDTH - LEFT) * (steps_in.clamp(0.0, steps) / steps.max(1.0))
            };
            let (x, end) = (place(story.since), place(story.until));
            let (top, height) = (TOP, self.height - TOP - BOTTOM);
            let _ = write!(
                self.svg,
                "<rect class=\"band\" x=\"{x:.1}\" y=\"{top}\" width=\"{:.1}\" height=\"{height}\"/>\
                 <text x=\"{:.1}\" y=\"{}\">{}</text>",
                (end - x).max(1.0),
                x + 2.0,
                top + 11.0,
                index + 1
            );
        }
    }

    /// Writes the times below, and what it is for whoever cannot see it.
    fn finish(mut self, id: &str, title: &str, peaks: &str) -> String {
        let steps = self.page.timeline.steps.len();
        for tick in 0..TICKS {
            let at = tick * steps.saturating_sub(1) / (TICKS - 1);
            let Some(step) = self.page.timeline.steps.get(at) else { continue };
            let anchor = if tick == 0 {
                "start"
            } else if tick == TICKS - 1 {
                "end"
            } else {
                "middle"
            };
            let x = if tick == TICKS - 1 { WIDTH } else { self.x(at) };
            let time = moment(self.page, self.zone, step.at);
            let _ = write!(
                self.svg,
                "<text x=\"{x:.1}\" y=\"{}\" text-anchor=\"{anchor}\">{time}</text>",
                self.height - 5.0
            );
        }
        format!(
            "<figure><svg viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-labelledby=\"{id}-title {id}-peaks\">\
             <title id=\"{id}-title\">{}</title><desc id=\"{id}-peaks\">{}</desc>{}</svg>\
             <figcaption>{}. {}</figcaption></figure>\n",
            self.height,
            escaped(title),
            escaped(peaks),
            self.svg,
            escaped(title),
            escaped(peaks)
        )
    }
}
