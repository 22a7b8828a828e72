// The mustache template of result.html. Double braces escape; there are no triple ones.
#pragma once

#include <string_view>

namespace showcase::reports {

inline constexpr std::string_view report_template = R"page(<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{{filename}} – report</title>
<style>
:root {
  --page: #f6f7f9; --card: #fff; --ink: #1b2330; --soft: #5c6778; --line: #dfe4ea;
  --accent: #2563a8; --bar: #8fb5dd; --warn: #8a4b00; --warn-back: #fff3df;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #12161c; --card: #1b212a; --ink: #e6eaf0; --soft: #9aa6b6; --line: #2c3541;
    --accent: #7db3ec; --bar: #3f6c9b; --warn: #ffc97a; --warn-back: #33270f;
  }
}
* { box-sizing: border-box; }
body { margin: 0; padding: 1.5rem; background: var(--page); color: var(--ink);
  font: 15px/1.45 system-ui, sans-serif; }
main { max-width: 76rem; margin: auto; }
h1 { margin: 0; font-size: 1.5rem; overflow-wrap: anywhere; }
.facts { margin: .25rem 0 1.25rem; color: var(--soft); }
.notice { padding: .6rem .9rem; border-radius: .5rem; background: var(--warn-back); color: var(--warn); }
.grid { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(min(20rem, 100%), 1fr)); }
article { padding: 1rem; background: var(--card); border: 1px solid var(--line); border-radius: .6rem; min-width: 0; }
h2 { margin: 0; font-size: 1.05rem; overflow-wrap: anywhere; }
.type { float: right; margin-left: .5rem; padding: 0 .55rem; border: 1px solid var(--line);
  border-radius: 1rem; color: var(--accent); font-size: .8rem; }
dl { display: grid; grid-template-columns: auto 1fr; gap: .1rem .8rem; margin: .6rem 0 0; }
dt { color: var(--soft); }
dd { margin: 0; text-align: right; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.chart { display: block; width: 100%; height: 5.5rem; margin-top: .75rem; fill: var(--bar); }
.chart rect:hover { fill: var(--accent); }
.scale { display: flex; justify-content: space-between; color: var(--soft); font-size: .8rem; }
ol { margin: .75rem 0 0; padding: 0; list-style: none; }
li { margin-top: .35rem; }
li .text { display: block; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; padding-right: .5rem; }
li .row { display: flex; justify-content: space-between; font-size: .88rem; }
li .number { font-variant-numeric: tabular-nums; color: var(--soft); }
li svg { display: block; width: 100%; height: .3rem; fill: var(--bar); }
.note { margin: .6rem 0 0; color: var(--soft); font-size: .8rem; }
</style>
</head>
<body>
<main>
<h1>{{filename}}</h1>
<p class="facts">{{rows}} rows, {{columns_count}} columns, {{bytes}}, {{encoding}}, separated by {{delimiter}}</p>
{{#has_bad_rows}}
<p class="notice">{{bad_rows}} rows were left out. The first is on line {{first_bad_line}}: {{first_bad_reason}}.</p>
{{/has_bad_rows}}
<div class="grid">
{{#columns}}
<article>
<span class="type">{{type}}</span>
<h2>{{name}}</h2>
{{#has_chart}}
<svg class="chart" viewBox="0 0 {{bins}} 100" preserveAspectRatio="none" role="img" aria-label="Histogram of {{name}}">
{{#bars}}
<rect x="{{x}}" y="{{y}}" width="0.92" height="{{height}}"><title>{{from}} to {{to}}: {{count}}</title></rect>
{{/bars}}
</svg>
<div class="scale"><span>{{scale_from}}</span><span>{{scale_to}}</span></div>
{{/has_chart}}
<dl>
{{#figures}}
<dt>{{label}}</dt><dd>{{value}}</dd>
{{/figures}}
</dl>
{{#has_top}}
<ol aria-label="Most frequent values of {{name}}">
{{#top}}
<li><span class="row"><span class="text">{{value}}</span><span class="number">{{count}}</span></span>
<svg viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true"><rect width="{{share}}" height="1"/></svg></li>
{{/top}}
</ol>
{{/has_top}}
{{#note}}
<p class="note">{{note}}</p>
{{/note}}
</article>
{{/columns}}
</div>
</main>
</body>
</html>
)page";

} // namespace showcase::reports
