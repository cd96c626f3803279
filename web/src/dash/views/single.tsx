// One value a series: stat, gauge, bar gauge and pie.
import { href } from '../../app/router';
import { fieldLocals, rowLocals, type Answer, type Context, type One } from '../ask';
import { colorOf, inkOn } from '../colors';
import { configFor, display, rangeOver, thresholdColor, thresholdEdges, titleOf, type Config, type Shown } from '../field';
import { nameOf, type Cell, type Field, type Frame } from '../frames';
import { fill } from '../interpolate';
import { linksOf, type Link } from '../links';
import { fits, pattern } from '../matchers';
import type { Panel } from '../model';
import { reduceCells } from '../reduce';
import { autoColor } from './timeseries';

export interface Single {
  name: string;
  shown: Shown;
  config: Config;
  values: (number | null)[];
  color: string; // Its own, where the value does not decide.
  bounds: [number, number];
  links: Link[];
}

// What the panel shows: a calculation of each field, or each row when "all values" is asked for.
export function singles(panel: Panel, answer: Answer, context: Context): Single[] {
  const options = panel.options.reduceOptions ?? {};
  const calcs: string[] = Array.isArray(options.calcs) && options.calcs.length > 0 ? options.calcs : ['lastNotNull'];
  const whole = rangeOver(answer.frames);
  const list: { one: One; value: Cell; name: string; local?: Record<string, string>; color?: string }[] = [];
  const chosen = fieldsOf(panel, answer, options.fields);
  if (options.values === true) {
    const limit = Number(options.limit) || 25;
    for (const one of chosen) {
      for (let i = 0; i < one.field.values.length && list.length < limit; i++) {
        const name = rowName(one, i, panel, answer, context);
        list.push({ one, value: one.field.values[i], name, local: rowLocals(one.frame, i), color: rowColor(panel, name) });
      }
    }
  } else for (const one of chosen) for (const how of calcs) list.push({ one, value: keepNaN(one.field.values, how), name: one.name });
  return list.map(({ one, value, name, local, color: given }, i) => {
    const color = autoColor(name, i, list.length);
    const bounds = boundsOf(panel, one, whole);
    const shown = display(one.config, value, bounds, color, context.utc);
    if (given) shown.color = given;
    // A gauge, or a filled stat, without a word about colour has Grafana's own thresholds.
    if ((panel.type !== 'stat' || /^background/.test(String(panel.options.colorMode))) && shown.color === '#808080' && !one.config.color && !one.config.thresholds) shown.color = thresholdColor({}, shown.number, bounds[0], bounds[1]);
    const locals = { ...fieldLocals(one.field, name), ...local, '__value.text': shown.text, '__value.raw': String(value ?? ''), '__value.numeric': String(value ?? '') };
    return { name, shown, config: one.config, values: one.values, color, bounds, links: linksOf(one.config.links, context, locals) };
  });
}

// The least and the largest value: what the file says, else those of all fields or of this one. A gauge of
// percentages goes to a hundred.
function boundsOf(panel: Panel, one: One, whole: [number, number] | null): [number, number] {
  const { config } = one;
  const found = (config.fieldMinMax === true ? rangeOver([{ refId: '', fields: [one.field] }]) : whole) ?? [0, 100];
  if (panel.type === 'gauge') {
    const share = config.unit === 'percent' ? 100 : config.unit === 'percentunit' ? 1 : 0;
    if (share > 0) return [config.min ?? 0, config.max ?? share];
    // One value is no range: a gauge of it begins at nothing.
    if (found[0] === found[1]) return [config.min ?? Math.min(0, found[0]), config.max ?? (found[1] > 0 ? found[1] : 100)];
  }
  if (panel.type === 'bargauge' && found[0] === found[1]) return [config.min ?? Math.min(0, found[0]), config.max ?? (found[1] > 0 ? found[1] : 100)];
  return [config.min ?? found[0], config.max ?? found[1]];
}

// Number fields, or those that the file names; what it names may be text.
function fieldsOf(panel: Panel, answer: Answer, fields: unknown): One[] {
  if (typeof fields !== 'string' || fields === '') return answer.series;
  const re = pattern(fields);
  const wanted = (field: Field, frame: Frame): boolean => fits(re, nameOf(field, frame, answer.frames)) || fits(re, field.name) || field.name === fields || nameOf(field, frame, answer.frames) === fields;
  const by = new Map(answer.series.map((s) => [s.field, s]));
  return answer.frames.flatMap((frame) => frame.fields.filter((f) => wanted(f, frame)).flatMap((field): One[] => {
    const known = by.get(field);
    if (known) return [known];
    if (field.type === 'time' && fields !== field.name && !/time/i.test(fields)) return [];
    const config = configFor(panel, field, frame, answer.frames);
    return [{ refId: frame.refId, name: titleOf(field, frame, answer.frames, config), metric: {}, values: [], config: field.type === 'time' ? { unit: 'dateTimeAsIso', ...config } : config, field, frame }];
  }));
}

// A row is called by its words; the field's own name joins them where there are other numbers, or no words.
function rowName(one: One, row: number, panel: Panel, answer: Answer, context: Context): string {
  if (one.config.displayName) {
    const times = { from: answer.from, to: answer.to, step: answer.step, interval: context.scrapeInterval };
    return fill(String(one.config.displayName), context.board, context.scope, times, 'text', { ...fieldLocals(one.field, one.name), ...rowLocals(one.frame, row) });
  }
  const others = one.frame.fields.filter((f) => f !== one.field);
  const words = others.filter((f) => f.type === 'string').map((f) => display(configFor(panel, f, one.frame, answer.frames), f.values[row] ?? '').text).filter((t) => t !== '');
  return words.length === 0 || others.some((f) => f.type === 'number') ? [...words, one.name].join(' ') : words.join(' ');
}

// An override by the name of a row colours it.
function rowColor(panel: Panel, name: string): string | undefined {
  const properties = panel.overrides.filter((o) => o.matcher.id === 'byName' && o.matcher.options === name).flatMap((o) => o.properties);
  const color = properties.find((p) => p.id === 'color')?.value?.fixedColor;
  return color ? colorOf(color) : undefined;
}

function keepNaN(values: Cell[], how: string): Cell {
  const got = reduceCells(values, how);
  return got === null && values.length > 0 && values.every((v) => typeof v === 'number' && Number.isNaN(v)) ? NaN : got;
}

function Linked({ links, children }: { links: Link[]; children: preact.ComponentChildren }) {
  const link = links[0];
  return link ? <a class="value-link" href={link.inside ? href(link.url) : link.url} target={link.blank ? '_blank' : undefined} rel="noreferrer" title={link.title}>{children}</a> : <>{children}</>;
}

export function Spark({ values, color }: { values: (number | null)[]; color: string }) {
  const list = values.map((v, i) => [i, v] as const).filter((p): p is readonly [number, number] => p[1] !== null && Number.isFinite(p[1]));
  if (list.length < 2) return null;
  const lo = list.reduce((m, [, v]) => Math.min(m, v), Infinity);
  const hi = list.reduce((m, [, v]) => Math.max(m, v), -Infinity);
  const x = (i: number): string => ((100 * i) / Math.max(1, values.length - 1)).toFixed(2);
  const y = (v: number): string => (hi === lo ? 20 : 38 - (36 * (v - lo)) / (hi - lo)).toFixed(2);
  const line = list.map(([i, v], k) => `${k === 0 ? 'M' : 'L'}${x(i)} ${y(v)}`).join('');
  return (
    <svg class="spark" viewBox="0 0 100 40" preserveAspectRatio="none" aria-hidden="true">
      <path d={`${line}L${x(list[list.length - 1][0])} 40L${x(list[0][0])} 40Z`} fill={color} opacity=".16" />
      <path d={line} fill="none" stroke={color} stroke-width="1.5" vector-effect="non-scaling-stroke" />
    </svg>
  );
}

const columnsOf = (n: number, orientation: string): string => (orientation === 'horizontal' ? '1' : orientation === 'vertical' ? String(Math.min(n, 12)) : String(Math.ceil(Math.sqrt(n))));

export function Stat({ panel, list }: { panel: Panel; list: Single[] }) {
  const mode = panel.options.textMode ?? 'auto';
  const [before, after] = panel.options.around ?? ['', ''];
  const filled = panel.options.colorMode === 'background' || panel.options.colorMode === 'background_solid';
  return (
    <div class="stats-grid" style={{ '--n': columnsOf(list.length, panel.options.orientation ?? 'auto') } as never}>
      {list.slice(0, 200).map(({ name, shown, values, links }, i) => {
        const plain = panel.options.colorMode === 'none' || shown.color === '#808080';
        const ink = filled ? inkOn(shown.color) : plain ? 'var(--ink)' : shown.color;
        const text = mode === 'name' ? name : mode === 'none' ? '' : `${before}${shown.text}${after}`;
        return (
          <div class={filled ? 'stat filled' : 'stat'} key={i} style={filled ? { background: shown.color } : undefined}>
            {panel.options.graphMode !== 'none' && <Spark values={values} color={filled ? ink : plain ? 'var(--accent)' : shown.color} />}
            {(mode === 'value_and_name' || (mode === 'auto' && list.length > 1)) && <span class="clip stat-name" style={filled ? { color: ink } : undefined}>{name}</span>}
            {text === '' && <span class="visually-hidden">{mode === 'none' ? `${name}: ${shown.text}` : `${name}: no text`}</span>}
            <Linked links={links}>
              <b data-panel-value style={{ color: ink }}>{text}</b>
            </Linked>
          </div>
        );
      })}
    </div>
  );
}

export function GaugeView({ panel, list }: { panel: Panel; list: Single[] }) {
  const arc = (t: number, r: number): string => {
    const a = Math.PI * (1.15 - 1.3 * Math.min(1, Math.max(0, t)));
    return `${(50 + r * Math.cos(a)).toFixed(2)} ${(50 - r * Math.sin(a)).toFixed(2)}`;
  };
  const path = (a: number, b: number, r: number): string => `M${arc(a, r)}A${r} ${r} 0 ${(b - a) * 1.3 > 1 ? 1 : 0} 1 ${arc(b, r)}`;
  const marked = panel.options.showThresholdMarkers !== false;
  return (
    <div class="stats-grid" style={{ '--n': columnsOf(list.length, 'auto') } as never}>
      {list.slice(0, 100).map(({ name, shown, config, bounds }, i) => {
        const [lo, hi] = bounds;
        const edges = marked ? thresholdEdges(config, lo, hi) : [];
        const at = (v: number): number => (hi > lo ? Math.min(1, Math.max(0, (v - lo) / (hi - lo))) : 0);
        return (
          <div class="gauge-cell" key={i}>
            <svg viewBox="0 0 100 74" role="img" aria-label={`${name}: ${shown.text}`}>
              <path d={path(0, 1, 38)} fill="none" stroke="var(--raise)" stroke-width="11" />
              {shown.percent > 0 && <path d={path(0, Math.min(1, shown.percent), 38)} fill="none" stroke={shown.color} stroke-width="11" />}
              {edges.map((e, k) => {
                const to = k + 1 < edges.length ? at(edges[k + 1].value) : 1;
                const from = Number.isFinite(e.value) ? at(e.value) : 0;
                return to > from ? <path key={k} d={path(from, to, 46)} fill="none" stroke={e.color} stroke-width="2.5" /> : null;
              })}
              <text x="50" y="55" text-anchor="middle" class="gauge-text" data-panel-value fill={shown.color === '#808080' ? 'var(--ink)' : shown.color} textLength={shown.text.length > 9 ? 62 : undefined} lengthAdjust="spacingAndGlyphs">
                {shown.text}
              </text>
            </svg>
            {list.length > 1 && <span class="clip">{name}</span>}
          </div>
        );
      })}
    </div>
  );
}

export function BarGauge({ panel, list }: { panel: Panel; list: Single[] }) {
  const lcd = panel.options.displayMode === 'lcd';
  if (panel.options.orientation === 'vertical') {
    return (
      <div class="bar-columns">
        {list.slice(0, 100).map(({ name, shown }, i) => (
          <div class="bar-column" key={i}>
            <b data-panel-value style={{ color: shown.color }}>{shown.text}</b>
            <span class="bar-shaft"><i style={{ height: `${100 * Math.min(1, Math.max(0.01, shown.percent))}%`, background: shown.color }} /></span>
            <span class="clip" title={name}>{name}</span>
          </div>
        ))}
      </div>
    );
  }
  return (
    <div class="bar-gauge" tabIndex={0}>
      {list.slice(0, 300).map(({ name, shown, links }, i) => (
        <div class="bar-row" key={i}>
          <span class="clip" title={name}>{name}</span>
          <span class={lcd ? 'bar-track lcd' : 'bar-track'}>
            <i style={{ width: `${100 * Math.min(1, Math.max(0.004, shown.percent))}%`, background: shown.color }} />
          </span>
          <Linked links={links}>
            <b data-panel-value style={{ color: shown.color === '#808080' ? undefined : shown.color }}>{shown.text}</b>
          </Linked>
        </div>
      ))}
    </div>
  );
}

export function Pie({ panel, list }: { panel: Panel; list: Single[] }) {
  const parts = list.filter((s) => s.shown.number > 0).slice(0, 60);
  const total = parts.reduce((sum, s) => sum + s.shown.number, 0);
  const color = (s: Single): string => (s.shown.color === '#808080' || (s.config.color?.mode ?? 'palette-classic').startsWith('palette') ? s.color : s.shown.color);
  const donut = panel.options.pieType === 'donut';
  const legend = panel.options.legend ?? {};
  const values: string[] = legend.values ?? [];
  const labels: string[] = panel.options.displayLabels ?? [];
  const share = (s: Single): string => `${((100 * s.shown.number) / total).toFixed(s.shown.number / total < 0.1 ? 1 : 0)}%`;
  let angle = 0;
  const point = (t: number, r: number): string => `${(50 + r * Math.sin(2 * Math.PI * t)).toFixed(3)} ${(50 - r * Math.cos(2 * Math.PI * t)).toFixed(3)}`;
  return (
    <div class={legend.placement === 'right' ? 'pie beside' : 'pie'}>
      <svg viewBox="0 0 100 100" role="img" aria-label={parts.map((s) => `${s.name}: ${s.shown.text}`).join(', ') || 'nothing to divide'}>
        {parts.map((s, i) => {
          const from = angle;
          const to = (angle += s.shown.number / total);
          const mid = (from + to) / 2;
          const big = to - from > 0.5 ? 1 : 0;
          const hole = donut ? 28 : 0;
          // A full circle is drawn as two halves: an arc may not end where it begins.
          const d = to - from > 0.9999
            ? `M50 2A48 48 0 1 1 50 98A48 48 0 1 1 50 2Z${donut ? 'M50 22A28 28 0 1 0 50 78A28 28 0 1 0 50 22Z' : ''}`
            : `M${point(from, 48)}A48 48 0 ${big} 1 ${point(to, 48)}L${point(to, hole)}${donut ? `A${hole} ${hole} 0 ${big} 0 ${point(from, hole)}` : ''}Z`;
          const label = [labels.includes('name') ? s.name : '', labels.includes('value') ? s.shown.text : '', labels.includes('percent') ? share(s) : ''].filter(Boolean).join(' ');
          const [x, y] = point(mid, donut ? 38 : 32).split(' ');
          return (
            <g key={i}>
              <path d={d} fill={color(s)} stroke="var(--card)" stroke-width=".6" fill-rule="evenodd"><title>{`${s.name}: ${s.shown.text} (${share(s)})`}</title></path>
              {label !== '' && to - from > 0.05 && <text x={x} y={y} text-anchor="middle" dominant-baseline="middle" class="pie-label">{label}</text>}
            </g>
          );
        })}
        {parts.length === 0 && <circle cx="50" cy="50" r="47" fill="none" stroke="var(--line)" />}
      </svg>
      {legend.showLegend !== false && legend.displayMode !== 'hidden' && (
        <ul class="pie-legend" tabIndex={0}>
          {list.slice(0, 100).map((s, i) => (
            <li key={i}>
              <i class="swatch" style={{ background: color(s) }} />
              <span class="clip">{s.name}</span>
              {(values.length === 0 ? ['value'] : values).map((v) => <b key={v} data-panel-value={v === 'value' ? true : undefined}>{v === 'percent' ? (total > 0 ? share(s) : '') : s.shown.text}</b>)}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
