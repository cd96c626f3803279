// One value a series: stat, gauge, bar gauge and pie.
import { href } from '../../app/router';
import { fieldLocals, type Answer, type Context, type One } from '../ask';
import { inkOn } from '../colors';
import { display, thresholdColor, thresholdEdges, type Config, type Shown } from '../field';
import { nameOf, type Cell } from '../frames';
import { linksOf, type Link } from '../links';
import type { Panel } from '../model';
import { reduceCells } from '../reduce';
import { pattern } from '../transform';
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
  const how = options.calcs?.[0] ?? 'lastNotNull';
  const list: { one: One; value: Cell; name: string }[] = [];
  const wanted = fieldFilter(options.fields);
  const series = answer.series.filter((s) => wanted === null || wanted(nameOf(s.field, s.frame, answer.frames)) || wanted(s.field.name));
  if (options.values === true) {
    const limit = Number(options.limit) || 25;
    for (const one of series) {
      const texts = one.frame.fields.filter((f) => f.type === 'string');
      one.field.values.slice(0, limit).forEach((value, i) => list.push({ one, value, name: texts.map((f) => f.values[i]).filter((t) => t !== null && t !== '').join(' ') || one.name }));
    }
  } else {
    for (const one of series) list.push({ one, value: keepNaN(one.field.values, how), name: one.name });
    // Text fields count only when the file asks for all fields or names one.
    if (wanted !== null && series.length === 0) {
      for (const frame of answer.frames) {
        for (const field of frame.fields) {
          if (field.type !== 'string' || !(wanted(nameOf(field, frame, answer.frames)) || wanted(field.name))) continue;
          list.push({ one: { refId: frame.refId, name: nameOf(field, frame, answer.frames), metric: {}, values: [], config: panel.defaults, field, frame }, value: reduceCells(field.values, how), name: nameOf(field, frame, answer.frames) });
        }
      }
    }
  }
  const finite = list.map((l) => l.value).filter((v): v is number => typeof v === 'number' && Number.isFinite(v));
  const found: [number, number] = finite.length > 0 ? [finite.reduce((a, b) => Math.min(a, b)), finite.reduce((a, b) => Math.max(a, b))] : [0, 100];
  return list.map(({ one, value, name }, i) => {
    const color = autoColor(name, i, list.length);
    const bounds: [number, number] = panel.type === 'stat' ? found : [one.config.min ?? 0, one.config.max ?? (panel.type === 'gauge' ? 100 : Math.max(found[1], 0) || 100)];
    const shown = display(one.config, value, bounds, color, context.utc);
    // A gauge without a word about colour has Grafana's own thresholds.
    if (panel.type !== 'stat' && shown.color === '#808080' && !one.config.color && !one.config.thresholds) shown.color = thresholdColor({}, shown.number, bounds[0], bounds[1]);
    const local = { ...fieldLocals(one.field, name), '__value.text': shown.text, '__value.raw': String(value ?? ''), '__value.numeric': String(value ?? '') };
    return { name, shown, config: one.config, values: one.values, color, bounds, links: linksOf(one.config.links, context, local) };
  });
}

function fieldFilter(fields: unknown): ((name: string) => boolean) | null {
  if (typeof fields !== 'string' || fields === '') return null;
  if (!/^\/.*\/[a-z]*$/s.test(fields)) return (name) => name === fields;
  const re = pattern(fields);
  return (name) => re !== null && name.search(re) >= 0;
}

function keepNaN(values: Cell[], how: string): Cell {
  const got = reduceCells(values, how);
  return got === null && values.length > 0 && values.every((v) => typeof v === 'number' && Number.isNaN(v)) ? NaN : got;
}

function Linked({ links, children }: { links: Link[]; children: preact.ComponentChildren }) {
  const link = links[0];
  return link ? <a class="value-link" href={link.inside ? href(link.url) : link.url} target={link.blank ? '_blank' : undefined} rel="noreferrer" title={link.title}>{children}</a> : <>{children}</>;
}

function Spark({ values, color }: { values: (number | null)[]; color: string }) {
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
