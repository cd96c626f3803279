// Grafana's dashboard JSON, old and new, as one kind of panel. What the file says is only read.

export type Json = any; // eslint-disable-line

export interface Target {
  refId: string;
  expr: string;
  legend: string;
  instant: boolean;
  range: boolean;
  format: string;
  interval: string;
  factor: number;
  hide: boolean;
}

export interface Override {
  matcher: { id: string; options: Json };
  properties: { id: string; value: Json }[];
}

export interface Panel {
  id: string;
  type: string;
  title: string;
  description: string;
  grid: { x: number; y: number; w: number; h: number };
  targets: Target[];
  defaults: Json;
  overrides: Override[];
  options: Json;
  transformations: { id: string; options: Json; disabled?: boolean }[];
  interval: string;
  maxDataPoints: number | null;
  timeFrom: string;
  timeShift: string;
  repeat: string;
  repeatDirection: 'h' | 'v';
  maxPerRow: number;
  links: Json[];
  transparent: boolean;
  source: Json;
}

export interface Row {
  key: string;
  title: string;
  collapsed: boolean;
  repeat: string;
  panels: Panel[];
  implicit: boolean; // Panels above the first row.
}

export interface Variable {
  name: string;
  label: string;
  type: string;
  query: string;
  regex: string;
  sort: number;
  multi: boolean;
  includeAll: boolean;
  allValue: string;
  hide: number;
  refresh: number;
  options: { text: string; value: string }[];
  current: Json;
  auto: boolean;
}

export interface Dashboard {
  uid: string;
  title: string;
  rows: Row[];
  variables: Variable[];
  from: string;
  to: string;
  refresh: string;
  timezone: string;
  tags: string[];
  links: Json[];
  sharedTooltip: boolean;
}

const text = (v: Json): string => (v === undefined || v === null ? '' : String(v));

function target(t: Json, index: number): Target {
  return {
    refId: t.refId ?? String.fromCharCode(65 + (index % 26)),
    expr: typeof t.expr === 'string' ? t.expr : '',
    legend: t.legendFormat === '__auto' ? '' : text(t.legendFormat),
    instant: t.instant === true && t.range !== true,
    range: t.range === true,
    format: t.format ?? 'time_series',
    interval: text(t.interval),
    factor: Number(t.intervalFactor) || 1,
    hide: t.hide === true,
  };
}

const MAPPED: Record<string, string> = { singlestat: 'stat', 'table-old': 'table', graph: 'timeseries', 'grafana-piechart-panel': 'piechart', 'grafana-singlestat-panel': 'stat', 'vonage-status-panel': 'stat' };

function legacyMappings(p: Json): Json[] {
  const out: Json[] = [];
  for (const m of p.valueMaps ?? []) {
    if (m.value === 'null') out.push({ type: 'special', options: { match: 'null', result: { text: text(m.text) } } });
    else out.push({ type: 'value', options: { [text(m.value)]: { text: text(m.text) } } });
  }
  for (const m of p.rangeMaps ?? []) {
    if (m.from === 'null' || m.to === 'null') out.push({ type: 'special', options: { match: 'null', result: { text: text(m.text) } } });
    else out.push({ type: 'range', options: { from: Number(m.from), to: Number(m.to), result: { text: text(m.text) } } });
  }
  return out;
}

// Grafana 7 wrote mappings as a list of {type: 1|2, value|from,to, text}.
function modernMappings(list: Json): Json[] {
  return (Array.isArray(list) ? list : []).map((m: Json) => {
    if (m.type === 1) return m.value === 'null' ? { type: 'special', options: { match: 'null', result: { text: m.text } } } : { type: 'value', options: { [text(m.value)]: { text: m.text } } };
    if (m.type === 2) return { type: 'range', options: { from: Number(m.from), to: Number(m.to), result: { text: m.text } } };
    return m;
  });
}

const REDUCERS: Record<string, string> = { current: 'lastNotNull', avg: 'mean', total: 'sum', name: 'name', delta: 'delta', diff: 'diff', range: 'range', first: 'firstNotNull' };
const reducer = (name: string): string => REDUCERS[name] ?? name;

function legacySteps(thresholds: string, colors: string[]): Json {
  const values = thresholds.split(',').map(Number).filter((v) => !Number.isNaN(v));
  return { mode: 'absolute', steps: colors.slice(0, values.length + 1).map((color, i) => ({ color, value: i === 0 ? null : values[i - 1] })) };
}

function upgrade(p: Json): { type: string; defaults: Json; overrides: Override[]; options: Json } {
  const defaults: Json = { ...(p.fieldConfig?.defaults ?? p.options?.fieldOptions?.defaults ?? {}) };
  defaults.mappings = modernMappings(defaults.mappings ?? p.options?.fieldOptions?.mappings);
  const overrides: Override[] = [...(p.fieldConfig?.overrides ?? [])];
  const options: Json = { ...(p.options ?? {}) };
  if (options.fieldOptions) options.reduceOptions ??= { calcs: options.fieldOptions.calcs ?? ['mean'], values: options.fieldOptions.values };
  if (options.fieldOptions?.defaults?.thresholds === undefined && options.fieldOptions?.thresholds) {
    defaults.thresholds ??= { mode: 'absolute', steps: options.fieldOptions.thresholds.map((t: Json) => ({ color: t.color, value: t.value })) };
  }
  const type = MAPPED[p.type] ?? p.type ?? 'unknown';
  if (p.type === 'graph') {
    const axes = p.yaxes ?? [{}, {}];
    const format = (i: number): string | undefined => axes[i]?.format ?? p.y_formats?.[i] ?? undefined;
    const custom: Json = {
      drawStyle: p.bars ? 'bars' : p.lines === false && p.points ? 'points' : 'line',
      lineWidth: p.lines === false && !p.bars ? 0 : (p.linewidth ?? 1),
      fillOpacity: p.lines === false && !p.bars ? 0 : p.bars ? 100 : (p.fill ?? 1) * 10,
      showPoints: p.points ? 'always' : 'never',
      pointSize: p.pointradius ?? 5,
      lineInterpolation: p.steppedLine ? 'stepAfter' : 'linear',
      spanNulls: p.nullPointMode === 'connected',
      nullAsZero: p.nullPointMode === 'null as zero',
      stacking: { mode: p.stack ? (p.percentage ? 'percent' : 'normal') : 'none', group: 'A' },
      scaleDistribution: axes[0]?.logBase > 1 ? { type: 'log', log: axes[0].logBase } : undefined,
      axisLabel: axes[0]?.label ?? undefined,
    };
    const number = (v: Json): number | undefined => (v === null || v === undefined || v === '' || v === 'auto' || Number.isNaN(Number(v)) ? undefined : Number(v));
    Object.assign(defaults, { unit: format(0), min: number(axes[0]?.min ?? p.grid?.leftMin), max: number(axes[0]?.max ?? p.grid?.leftMax), decimals: axes[0]?.decimals ?? p.decimals ?? undefined, custom });
    const dress = (alias: string, properties: { id: string; value: Json }[]): void => {
      const pattern = /^\/.*\/[a-z]*$/.test(alias);
      if (properties.length > 0) overrides.push({ matcher: { id: pattern ? 'byRegexp' : 'byName', options: alias }, properties });
    };
    for (const [alias, color] of Object.entries(p.aliasColors ?? {})) dress(alias, [{ id: 'color', value: { mode: 'fixed', fixedColor: color } }]);
    for (const o of p.seriesOverrides ?? []) {
      const props: { id: string; value: Json }[] = [];
      if (o.color) props.push({ id: 'color', value: { mode: 'fixed', fixedColor: o.color } });
      if (o.yaxis === 2) {
        props.push({ id: 'custom.axisPlacement', value: 'right' });
        if (format(1)) props.push({ id: 'unit', value: format(1) });
        if (number(axes[1]?.min) !== undefined) props.push({ id: 'min', value: number(axes[1].min) });
        if (number(axes[1]?.max) !== undefined) props.push({ id: 'max', value: number(axes[1].max) });
      }
      if (o.fill !== undefined) props.push({ id: 'custom.fillOpacity', value: o.fill * 10 });
      if (o.linewidth !== undefined) props.push({ id: 'custom.lineWidth', value: o.linewidth });
      if (o.stack !== undefined) props.push({ id: 'custom.stacking', value: o.stack === false ? { mode: 'none' } : { mode: 'normal', group: o.stack === true ? 'A' : o.stack } });
      if (o.transform === 'negative-Y') props.push({ id: 'custom.transform', value: 'negative-Y' });
      if (o.dashes) props.push({ id: 'custom.lineStyle', value: { fill: 'dash', dash: [o.dashLength ?? 10, o.spaceLength ?? 10] } });
      if (o.lines === false) props.push({ id: 'custom.lineWidth', value: 0 }, { id: 'custom.fillOpacity', value: 0 });
      if (o.points) props.push({ id: 'custom.showPoints', value: 'always' });
      if (o.bars) props.push({ id: 'custom.drawStyle', value: 'bars' });
      if (o.steppedLine) props.push({ id: 'custom.lineInterpolation', value: 'stepAfter' });
      if (o.hiddenSeries) props.push({ id: 'custom.hideFrom', value: { viz: true, legend: false } });
      dress(text(o.alias), props);
    }
    const legend = p.legend ?? {};
    options.legend = {
      showLegend: legend.show !== false,
      displayMode: legend.alignAsTable ? 'table' : 'list',
      placement: legend.rightSide ? 'right' : 'bottom',
      calcs: legend.values || legend.alignAsTable ? ['min', 'max', 'avg', 'current', 'total'].filter((c) => legend[c]).map(reducer) : [],
    };
    options.tooltip = { mode: p.tooltip?.shared === false ? 'single' : 'multi' };
  }
  if (p.type === 'singlestat') {
    Object.assign(defaults, { unit: p.format, decimals: p.decimals ?? undefined, noValue: undefined, mappings: legacyMappings(p) });
    if (p.thresholds && Array.isArray(p.colors)) defaults.thresholds = legacySteps(p.thresholds, p.colors);
    if (p.gauge?.show) Object.assign(defaults, { min: p.gauge.minValue ?? 0, max: p.gauge.maxValue ?? 100 });
    const nullText = (p.valueMaps ?? []).find((m: Json) => m.value === 'null')?.text;
    if (p.nullText || nullText) defaults.noValue = p.nullText ?? nullText;
    Object.assign(options, {
      reduceOptions: { calcs: [reducer(p.valueName ?? 'avg')] },
      textMode: p.valueName === 'name' ? 'name' : 'value',
      colorMode: p.colorBackground ? 'background' : p.colorValue ? 'value' : 'none',
      graphMode: p.sparkline?.show ? 'area' : 'none',
      around: [p.prefix ?? '', p.postfix ?? ''],
    });
    return { type: p.gauge?.show ? 'gauge' : 'stat', defaults, overrides, options };
  }
  if (p.type === 'table-old' || (p.type === 'table' && p.styles)) {
    for (const s of p.styles ?? []) {
      const pattern = text(s.pattern);
      const props: { id: string; value: Json }[] = [];
      if (s.alias) props.push({ id: 'displayName', value: s.alias });
      if (s.type === 'hidden') props.push({ id: 'custom.hidden', value: true });
      if (s.type === 'number') props.push({ id: 'unit', value: s.unit }, { id: 'decimals', value: s.decimals });
      if (s.type === 'date') props.push({ id: 'unit', value: 'dateTimeAsIso' });
      if (s.colorMode && s.thresholds?.length) props.push({ id: 'thresholds', value: legacySteps(s.thresholds.join(','), s.colors ?? []) }, { id: 'custom.cellOptions', value: { type: s.colorMode === 'value' ? 'color-text' : 'color-background' } });
      if (props.length > 0) overrides.unshift({ matcher: { id: /^\/.*\/$/.test(pattern) ? 'byRegexp' : 'byName', options: pattern }, properties: props });
    }
  }
  return { type, defaults, overrides, options };
}

let loose = 0;

function panel(p: Json, grid?: Panel['grid'], row?: Json): Panel {
  const up = upgrade(p);
  return {
    id: p.id === undefined || p.id === null ? `x${loose++}` : String(p.id),
    type: up.type,
    title: text(p.title),
    description: text(p.description),
    grid: grid ?? { x: p.gridPos?.x ?? 0, y: p.gridPos?.y ?? 0, w: p.gridPos?.w ?? 12, h: p.gridPos?.h ?? 8 },
    targets: (p.targets ?? []).map(target),
    defaults: up.defaults,
    overrides: up.overrides,
    options: up.options,
    transformations: p.transformations ?? [],
    interval: text(p.interval),
    maxDataPoints: Number(p.maxDataPoints) || null,
    timeFrom: text(p.timeFrom),
    timeShift: text(p.timeShift),
    repeat: text(p.repeat),
    repeatDirection: p.repeatDirection === 'v' ? 'v' : 'h',
    maxPerRow: Number(p.maxPerRow) || 4,
    links: p.links ?? [],
    transparent: p.transparent === true,
    source: row === undefined ? p : p,
  };
}

function variable(v: Json): Variable {
  const query = typeof v.query === 'string' ? v.query : (v.query?.query ?? (typeof v.definition === 'string' ? v.definition : ''));
  return {
    name: text(v.name),
    label: text(v.label) || text(v.name),
    type: v.type ?? 'query',
    query,
    regex: text(v.regex),
    sort: Number(v.sort) || 0,
    multi: v.multi === true,
    includeAll: v.includeAll === true,
    allValue: text(v.allValue),
    hide: Number(v.hide) || 0,
    refresh: Number(v.refresh) || 0,
    options: (v.options ?? []).map((o: Json) => ({ text: text(o.text), value: text(o.value) })),
    current: v.current ?? {},
    auto: v.auto === true,
  };
}

export function parseDashboard(doc: Json): Dashboard {
  loose = 0;
  const rows: Row[] = [];
  if (Array.isArray(doc.panels) && doc.panels.length > 0) {
    let row: Row = { key: 'top', title: '', collapsed: false, repeat: '', panels: [], implicit: true };
    rows.push(row);
    const ordered = doc.panels.slice().sort((a: Json, b: Json) => (a.gridPos?.y ?? 0) - (b.gridPos?.y ?? 0) || (a.gridPos?.x ?? 0) - (b.gridPos?.x ?? 0));
    for (const p of ordered) {
      if (p.type === 'row') {
        row = { key: `row-${p.id ?? rows.length}`, title: text(p.title), collapsed: p.collapsed === true, repeat: text(p.repeat), panels: (p.panels ?? []).map((q: Json) => panel(q)), implicit: false };
        rows.push(row);
      } else row.panels.push(panel(p));
    }
  } else {
    (doc.rows ?? []).forEach((r: Json, i: number) => {
      let x = 0;
      let y = 0;
      const height = Math.max(2, Math.ceil((parseInt(text(r.height), 10) || 250) / 38));
      const panels = (r.panels ?? []).map((p: Json) => {
        const w = Math.max(1, Math.min(24, Math.round((Number(p.span) || 4) * 2)));
        if (x + w > 24) {
          x = 0;
          y += height;
        }
        const made = panel(p, { x, y, w, h: p.height ? Math.max(2, Math.ceil((parseInt(text(p.height), 10) || 250) / 38)) : height }, r);
        x += w;
        return made;
      });
      rows.push({ key: `row-${i}`, title: text(r.title), collapsed: r.collapse === true, repeat: text(r.repeat), panels, implicit: r.showTitle !== true && r.collapse !== true });
    });
  }
  return {
    uid: text(doc.uid),
    title: text(doc.title) || 'Dashboard',
    rows,
    variables: (doc.templating?.list ?? []).map(variable),
    from: doc.time?.from ?? 'now-1h',
    to: doc.time?.to ?? 'now',
    refresh: typeof doc.refresh === 'string' ? doc.refresh : '',
    timezone: text(doc.timezone),
    tags: doc.tags ?? [],
    links: doc.links ?? [],
    sharedTooltip: doc.graphTooltip > 0 || doc.sharedCrosshair === true,
  };
}
