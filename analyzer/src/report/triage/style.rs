//! The look of the HTML page: light and dark, on a screen and on paper.

/// The whole stylesheet.
pub(super) const STYLE: &str = r#"
:root { color-scheme: light dark; --ground: #fff; --ink: #1b1f24; --quiet: #57606a; --line: #d0d7de; --soft: #f3f5f7;
  --ongoing: #b42318; --over: #0b6bcb; --fine: #1a7f37; --unknown: #8a6100;
  --openai: #b42318; --openai_edge: #d97706; --proxy: #7a3eb1; --aws: #0b6bcb; --network: #0f766e; --client: #8a8f98;
  --throttle: #1b1f24; --wait: #0b6bcb; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #14171b; --ink: #e6e9ed; --quiet: #a3acb7; --line: #39414b; --soft: #1e2329;
    --ongoing: #ff7b6b; --over: #6cb6ff; --fine: #57c774; --unknown: #e3b341;
    --openai: #ff7b6b; --openai_edge: #f0a34a; --proxy: #c297ff; --aws: #6cb6ff; --network: #4fd1c5; --client: #8b949e;
    --throttle: #e6e9ed; --wait: #6cb6ff; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 76rem; padding: 1.5rem; background: var(--ground); color: var(--ink);
  font: 16px/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.3; margin: .2rem 0 1rem; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
p, dl { margin: .4rem 0; }
.state { display: inline-block; padding: .1rem .6rem; border: 2px solid currentColor; border-radius: 1rem; font-weight: 600; }
.state.ongoing { color: var(--ongoing); } .state.over { color: var(--over); }
.state.quiet { color: var(--fine); } .state.unknown { color: var(--unknown); }
.do { border-left: 5px solid var(--over); background: var(--soft); padding: .8rem 1.1rem; border-radius: 0 .4rem .4rem 0; }
.do.ongoing { border-color: var(--ongoing); } .do.quiet { border-color: var(--fine); } .do.unknown { border-color: var(--unknown); }
.do strong { font-size: 1.15rem; }
.quiet-text, figcaption, .note { color: var(--quiet); }
blockquote { margin: .6rem 0 0; padding-left: .8rem; border-left: 3px solid var(--line); }
ol.incidents { padding-left: 1.4rem; } ol.incidents > li { margin: .8rem 0; }
ol.incidents ul { margin: .2rem 0; padding-left: 1.2rem; }
figure { margin: .6rem 0; } svg { width: 100%; height: auto; display: block; }
svg text { fill: var(--quiet); font: 12px system-ui, sans-serif; }
.axis { stroke: var(--line); fill: none; } .band { fill: var(--soft); stroke: var(--line); stroke-dasharray: 3 3; }
.openai { fill: var(--openai); } .openai_edge { fill: var(--openai_edge); } .proxy { fill: var(--proxy); }
.aws { fill: var(--aws); } .network { fill: var(--network); } .client { fill: var(--client); }
.throttles { stroke: var(--throttle); fill: none; stroke-width: 2; stroke-dasharray: 5 2; }
.slots { fill: var(--line); } .limit { stroke: var(--ongoing); stroke-width: 1.5; stroke-dasharray: 6 3; }
.wait { stroke: var(--wait); fill: none; stroke-width: 2; }
.traffic { fill: var(--line); }
.legend { display: flex; flex-wrap: wrap; gap: .3rem 1.1rem; list-style: none; padding: 0; margin: .3rem 0; font-size: .9rem; }
.legend svg { width: .9rem; height: .9rem; display: inline-block; vertical-align: -.1rem; margin-right: .35rem; }
.scroll { overflow-x: auto; } .scroll:focus-visible { outline: 2px solid var(--over); }
table { border-collapse: collapse; width: 100%; font-size: .92rem; }
caption { text-align: left; color: var(--quiet); caption-side: bottom; padding-top: .3rem; }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; }
th, td { white-space: nowrap; } td.long { white-space: normal; overflow-wrap: anywhere; min-width: 20rem; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
code, .say { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; font-size: .92em; }
summary { cursor: pointer; } summary:focus-visible { outline: 2px solid var(--over); }
footer { margin-top: 2.5rem; border-top: 1px solid var(--line); padding-top: .6rem; color: var(--quiet); font-size: .9rem; }
@media print { body { max-width: none; padding: 0; font-size: 11px; } .scroll { overflow: visible; }
  tr, figure, .do { break-inside: avoid; } h2 { break-after: avoid; } }
"#;
