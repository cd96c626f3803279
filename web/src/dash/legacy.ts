// Panels of Grafana before 8, and of plugins that draw what we draw too, in today's words.
import type { Json, Override } from './model';
import { reducerId } from './reduce';

// A file may have anything where a list of things is meant.
export const objects = (v: Json): Json[] => (Array.isArray(v) ? v.filter((x) => x && typeof x === 'object') : []);
const text = (v: Json): string => (v === undefined || v === null ? '' : String(v));
const numberOr = (v: Json): number | undefined => (v === null || v === undefined || v === '' || v === 'auto' || Number.isNaN(Number(v)) ? undefined : Number(v));

// Which of our drawings stands for a panel type. What is in none of these lists is an unknown type.
const SAME: Record<string, string> = {
  singlestat: 'stat', 'grafana-singlestat-panel': 'stat', 'vonage-status-panel': 'stat', 'pmm-singlestat-panel': 'stat', 'blackmirror1-singlestat-math-panel': 'stat', 'grafana-polystat-panel': 'stat', 'farski-blendstat-panel': 'stat', 'briangann-gauge-panel': 'gauge',
  graph: 'timeseries', 'pmm-graph-panel': 'timeseries', trend: 'timeseries', candlestick: 'timeseries', 'grafana-multibar-graph-panel': 'timeseries',
  'table-old': 'table', 'pmm-table-panel': 'table', 'briangann-datatable-panel': 'table', 'yesoreyeram-boomtable-panel': 'table', datagrid: 'table', geomap: 'table', 'grafana-worldmap-panel': 'table', nodeGraph: 'table', canvas: 'table', xychart: 'timeseries', debug: 'table',
  'grafana-piechart-panel': 'piechart', 'michaeldmoore-multistat-panel': 'bargauge', 'corpglory-progresslist-panel': 'bargauge',
  'natel-discrete-panel': 'state-timeline', 'flant-statusmap-panel': 'status-history', 'mtanda-histogram-panel': 'histogram', 'savantly-heatmap-panel': 'heatmap', 'heatmap-new': 'heatmap', 'marcusolsson-hourly-heatmap-panel': 'heatmap', 'mtanda-heatmap-epoch-panel': 'heatmap', 'petrslavotinek-carpetplot-panel': 'heatmap',
  'snuids-trafficlights-panel': 'stat', 'btplc-status-dot-panel': 'stat', 'btplc-trend-box-panel': 'stat', 'marcusolsson-hexmap-panel': 'bargauge', 'snuids-radar-panel': 'bargauge', 'marcusolsson-treemap-panel': 'piechart', 'natel-plotly-panel': 'timeseries', alertGroups: 'alertlist', 'logstable': 'logs', 'logs-new': 'logs',
  'digiapulssi-breadcrumb-panel': 'text', 'pmm-dashlist-panel': 'dashlist', 'pmm-dashlist': 'dashlist', 'pmm-update': 'text', 'pmm-check-panel-home': 'text', pluginlist: 'text', 'welcome': 'text', gettingstarted: 'text',
};

export const typeOf = (type: Json): string => (typeof type === 'string' && Object.hasOwn(SAME, type) ? SAME[type] : typeof type === 'string' && type !== '' ? type : 'unknown');

// Grafana before 8 wrote a list of {type: 1|2, value | from, to, text}; a panel of before 7 two lists.
export function mappingsOf(list: Json): Json[] {
  return (Array.isArray(list) ? list : []).filter((m: Json) => m && typeof m === 'object').map((m: Json) => {
    const old = m.type === 1 || m.type === 2 || m.op !== undefined || (m.type === undefined && 'text' in m);
    if (!old) return m;
    const range = m.type === 2 || (m.type === undefined && 'from' in m);
    if (range ? m.from === 'null' || m.to === 'null' : m.value === 'null') return { type: 'special', options: { match: 'null', result: { text: text(m.text) } } };
    if (range) return { type: 'range', options: { from: numberOr(m.from) ?? null, to: numberOr(m.to) ?? null, result: { text: text(m.text) } } };
    return { type: 'value', options: { [text(m.value)]: { text: text(m.text) } } };
  });
}

function oldMappings(p: Json): Json[] {
  const kind = p.mappingType ?? (p.valueMaps?.length ? 1 : 2);
  return mappingsOf(((kind === 2 ? p.rangeMaps : p.valueMaps) ?? []).map((m: Json) => ({ ...m, type: kind === 2 ? 2 : 1 })));
}

function steps(thresholds: Json, given: Json): Json {
  const colors: string[] = Array.isArray(given) ? given : [];
  const values = (Array.isArray(thresholds) ? thresholds.map(String) : text(thresholds).split(',')).map((t: string) => t.trim()).filter((t: string) => t !== '').map(Number).filter((v: number) => !Number.isNaN(v));
  return { mode: 'absolute', steps: colors.slice(0, values.length + 1).map((color, i) => ({ color, value: i === 0 ? null : values[i - 1] })) };
}

interface Upgraded {
  type: string;
  defaults: Json;
  overrides: Override[];
  options: Json;
}

export function upgrade(p: Json): Upgraded {
  const type = typeOf(p.type);
  const fieldOptions = p.options?.fieldOptions;
  const defaults: Json = { ...(p.fieldConfig?.defaults ?? fieldOptions?.defaults ?? {}) };
  defaults.mappings = mappingsOf(defaults.mappings ?? fieldOptions?.mappings ?? p.options?.valueMappings);
  const overrides: Override[] = objects(p.fieldConfig?.overrides ?? fieldOptions?.overrides)
    .filter((o) => o.matcher?.id)
    .map((o) => ({ matcher: o.matcher, properties: objects(o.properties).map((x) => ({ id: text(x.id ?? x.path), value: x.id === 'mappings' ? mappingsOf(x.value) : x.value })) }));
  const up: Upgraded = { type, defaults, overrides, options: { ...(p.options ?? {}) } };
  if (fieldOptions) up.options.reduceOptions ??= { calcs: (fieldOptions.calcs ?? ['mean']).map(reducerId), values: fieldOptions.values };
  if (defaults.thresholds === undefined && Array.isArray(fieldOptions?.thresholds ?? p.options?.thresholds)) {
    defaults.thresholds = { mode: 'absolute', steps: (fieldOptions?.thresholds ?? p.options.thresholds).map((t: Json) => ({ color: t.color, value: t.value })).sort((a: Json, b: Json) => (a.value ?? -Infinity) - (b.value ?? -Infinity)) };
  }
  if (fieldOptions?.defaults?.title && defaults.displayName === undefined) defaults.displayName = fieldOptions.defaults.title;
  // Grafana 6.0's gauge.
  const first = p.options?.valueOptions;
  if (first) {
    Object.assign(defaults, { unit: first.unit, decimals: numberOr(first.decimals), min: numberOr(p.options.minValue), max: numberOr(p.options.maxValue) });
    up.options.reduceOptions = { calcs: [reducerId(first.stat ?? 'mean')] };
    up.options.around = [first.prefix ?? '', first.suffix ?? ''];
  }
  if (p.fieldConfig === undefined || p.yaxes !== undefined || p.y_formats !== undefined) {
    if (type === 'timeseries' && (p.yaxes || p.y_formats || p.type === 'graph' || p.type === 'pmm-graph-panel')) graph(p, up);
  } else if (p.type === 'graph') graph(p, up);
  if (type === 'stat' && (p.valueName !== undefined || /singlestat/.test(text(p.type)) && p.fieldConfig?.defaults?.thresholds === undefined)) singlestat(p, up);
  if (type === 'table' && Array.isArray(p.styles)) styles(p, up);
  if (type === 'table' && (text(p.transform) !== '' || Array.isArray(p.styles))) tableTransform(p, up);
  if (type === 'heatmap' && p.dataFormat !== undefined) heatmap(p, up);
  if (p.type === 'grafana-piechart-panel') pie(p, up);
  if (p.type === 'digiapulssi-breadcrumb-panel') Object.assign(up.options, { mode: 'markdown', content: '[Dashboards](/dashboards) › ${__dashboard}' });
  return up;
}

function graph(p: Json, up: Upgraded): void {
  const { defaults, overrides, options } = up;
  const axes = p.yaxes ?? [{}, {}];
  const format = (i: number): string | undefined => axes[i]?.format ?? p.y_formats?.[i] ?? undefined;
  const lines = p.lines !== false;
  const custom: Json = {
    drawStyle: p.bars ? 'bars' : !lines && p.points ? 'points' : 'line',
    lineWidth: !lines && !p.bars ? 0 : (p.linewidth ?? 1),
    fillOpacity: !lines && !p.bars ? 0 : p.bars ? 100 : (p.fill ?? 1) * 10,
    showPoints: p.points ? 'always' : 'never',
    pointSize: (p.pointradius ?? 2) * 2,
    lineInterpolation: p.steppedLine ? 'stepAfter' : 'linear',
    spanNulls: p.nullPointMode === 'connected',
    nullAsZero: p.nullPointMode === 'null as zero',
    stacking: { mode: p.stack ? (p.percentage ? 'percent' : 'normal') : 'none', group: 'A' },
    lineStyle: p.dashes ? { fill: 'dash', dash: [p.dashLength ?? 10, p.spaceLength ?? 10] } : undefined,
    scaleDistribution: axes[0]?.logBase > 1 ? { type: 'log', log: axes[0].logBase } : undefined,
    axisLabel: axes[0]?.label ?? undefined,
    axisPlacement: axes[0]?.show === false ? 'hidden' : 'auto',
    thresholdsStyle: Array.isArray(p.thresholds) && p.thresholds.length > 0 ? { mode: 'line' } : undefined,
  };
  Object.assign(defaults, { unit: format(0) ?? defaults.unit, min: numberOr(axes[0]?.min ?? p.grid?.leftMin), max: numberOr(axes[0]?.max ?? p.grid?.leftMax), decimals: numberOr(axes[0]?.decimals ?? p.decimals), custom: { ...custom, ...defaults.custom } });
  if (custom.thresholdsStyle) {
    const tone: Record<string, string> = { critical: 'red', warning: 'orange', ok: 'green' };
    const edges = objects(p.thresholds).map((t) => ({ value: numberOr(t.value) ?? 0, color: tone[t.colorMode] ?? t.lineColor ?? 'red' }));
    defaults.thresholds = { mode: 'absolute', steps: [{ value: null, color: 'transparent' }, ...edges.sort((a: Json, b: Json) => a.value - b.value)] };
  }
  const dress = (alias: string, properties: { id: string; value: Json }[]): void => {
    const isPattern = /^\/.*\/[a-z]*$/.test(alias);
    if (properties.length > 0) overrides.push({ matcher: { id: isPattern ? 'byRegexp' : 'byName', options: alias }, properties });
  };
  for (const [alias, color] of Object.entries(p.aliasColors ?? {})) dress(alias, [{ id: 'color', value: { mode: 'fixed', fixedColor: color } }]);
  for (const o of objects(p.seriesOverrides)) dress(text(o.alias), seriesOverride(o, axes, format));
  const legend = p.legend ?? {};
  const calcs = ['min', 'max', 'avg', 'current', 'total'].filter((c) => legend[c]).map(reducerId);
  options.legend = {
    showLegend: legend.show !== false,
    displayMode: legend.alignAsTable ? 'table' : 'list',
    placement: legend.rightSide ? 'right' : 'bottom',
    calcs: legend.values ? calcs : [],
    sortBy: legend.sort ? reducerId(legend.sort) : undefined,
    sortDesc: legend.sortDesc === true,
  };
  options.tooltip = { mode: p.tooltip?.shared === false ? 'single' : 'multi', sort: p.tooltip?.sort === 2 ? 'desc' : p.tooltip?.sort === 1 ? 'asc' : 'none' };
  if (p.xaxis?.mode === 'series') {
    up.type = 'bargauge';
    options.reduceOptions = { calcs: [reducerId(p.xaxis.values?.[0] ?? 'total')] };
  } else if (p.xaxis?.mode === 'histogram') {
    up.type = 'histogram';
    options.combine = true;
    options.bucketCount = numberOr(p.xaxis.buckets);
  }
}

function seriesOverride(o: Json, axes: Json[], format: (i: number) => string | undefined): { id: string; value: Json }[] {
  const props: { id: string; value: Json }[] = [];
  const put = (id: string, value: Json): void => void props.push({ id, value });
  if (o.color) put('color', { mode: 'fixed', fixedColor: o.color });
  if (o.yaxis === 2) {
    put('custom.axisPlacement', 'right');
    if (format(1)) put('unit', format(1));
    // The right axis has its own bounds, also where it names none.
    put('min', numberOr(axes[1]?.min));
    put('max', numberOr(axes[1]?.max));
    put('decimals', numberOr(axes[1]?.decimals));
    if (axes[1]?.label) put('custom.axisLabel', axes[1].label);
    if (axes[1]?.logBase > 1) put('custom.scaleDistribution', { type: 'log', log: axes[1].logBase });
  }
  if (o.lines === false) {
    put('custom.lineWidth', 0);
    put('custom.fillOpacity', 0);
  }
  if (o.lines === true) put('custom.drawStyle', 'line');
  if (o.bars) put('custom.drawStyle', 'bars');
  if (o.fill !== undefined) put('custom.fillOpacity', o.fill * 10);
  if (o.linewidth !== undefined) put('custom.lineWidth', o.linewidth);
  if (o.stack !== undefined) put('custom.stacking', o.stack === false ? { mode: 'none' } : { mode: 'normal', group: o.stack === true ? 'A' : o.stack });
  if (o.transform === 'negative-Y') put('custom.transform', 'negative-Y');
  if (o.dashes) put('custom.lineStyle', { fill: 'dash', dash: [o.dashLength ?? 10, o.spaceLength ?? 10] });
  if (o.points) put('custom.showPoints', 'always');
  if (o.pointradius) put('custom.pointSize', o.pointradius * 2);
  if (o.steppedLine) put('custom.lineInterpolation', 'stepAfter');
  if (o.nullPointMode) put('custom.spanNulls', o.nullPointMode === 'connected');
  if (o.fillBelowTo) put('custom.fillBelowTo', o.fillBelowTo);
  if (o.hiddenSeries) put('custom.hideFrom', { viz: true, legend: false });
  if (o.legend === false) put('custom.hideFrom', { viz: false, legend: true });
  return props;
}

function singlestat(p: Json, up: Upgraded): void {
  const { defaults, options } = up;
  Object.assign(defaults, { unit: p.format ?? defaults.unit, decimals: numberOr(p.decimals), mappings: oldMappings(p) });
  if (p.thresholds && Array.isArray(p.colors)) defaults.thresholds = steps(p.thresholds, p.colors);
  const nullText = (p.valueMaps ?? []).find((m: Json) => m?.value === 'null')?.text;
  if (p.nullText || nullText) defaults.noValue = p.nullText ?? nullText;
  Object.assign(options, {
    reduceOptions: { calcs: [p.valueName === 'name' ? 'lastNotNull' : reducerId(p.valueName ?? 'avg')] },
    textMode: p.valueName === 'name' ? 'name' : 'value',
    colorMode: p.colorBackground ? 'background' : p.colorValue ? 'value' : 'none',
    graphMode: p.sparkline?.show ? 'area' : 'none',
    around: [p.prefix ?? '', p.postfix ?? ''],
  });
  // A column is chosen of tables only: a series has one.
  if (p.tableColumn && (Array.isArray(p.targets) ? p.targets : []).some((t: Json) => t?.format === 'table')) options.reduceOptions.fields = p.tableColumn;
  if (p.gauge?.show) {
    Object.assign(defaults, { min: p.gauge.minValue ?? 0, max: p.gauge.maxValue ?? 100 });
    up.type = 'gauge';
  }
}

// Each column has one style, the first that fits it, so every style says all that another might have said.
function styles(p: Json, up: Upgraded): void {
  const made: Override[] = [];
  for (const s of objects(p.styles)) {
    const of = text(s.pattern);
    const colored = Boolean(s.colorMode) && s.thresholds?.length > 0;
    const unit = s.type === 'number' ? s.unit : s.type === 'date' ? (s.dateFormat ? `time:${s.dateFormat}` : 'dateTimeAsIso') : undefined;
    const props: { id: string; value: Json }[] = [
      { id: 'custom.hidden', value: s.type === 'hidden' },
      { id: 'displayName', value: s.alias || undefined },
      { id: 'unit', value: unit },
      { id: 'decimals', value: s.type === 'number' ? numberOr(s.decimals) : undefined },
      { id: 'custom.cellOptions', value: { type: colored ? (s.colorMode === 'value' ? 'color-text' : 'color-background') : 'auto' } },
    ];
    if (s.type === 'string' && (s.valueMaps?.length || s.rangeMaps?.length)) props.push({ id: 'mappings', value: oldMappings(s) });
    if (colored) props.push({ id: 'thresholds', value: steps(s.thresholds, s.colors) }, { id: 'color', value: { mode: 'thresholds' } });
    if (s.link && s.linkUrl) props.push({ id: 'links', value: [{ title: text(s.linkTooltip), url: text(s.linkUrl).replace(/\$\{__cell(_\d+)?\}|\$__cell(_\d+)?/g, (_w, a, b) => (a ?? b) ? `\${__data.fields[${(a ?? b).slice(1)}]}` : '${__value.text}'), targetBlank: s.linkTargetBlank }] });
    made.push({ matcher: { id: /^\/.*\/$/.test(of) ? 'byRegexp' : 'byName', options: of }, properties: props });
  }
  // The first style that fits a column is the one that counts.
  up.overrides.unshift(...made.reverse());
}

function tableTransform(p: Json, up: Upgraded): void {
  const how: Json = { timeseries_aggregations: 'reduce', timeseries_to_rows: 'seriesToRows', timeseries_to_columns: 'seriesToColumns', table: 'merge' };
  // An old table shows all its queries as one.
  const id = how[p.transform] ?? 'merge';
  if (id) up.options.legacyTransform = { id, options: id === 'reduce' ? { reducers: objects(p.columns).map((c) => reducerId(text(c.value))) } : id === 'seriesToColumns' ? { byField: 'Time' } : {} };
}

function heatmap(p: Json, up: Upgraded): void {
  Object.assign(up.options, {
    calculate: p.dataFormat !== 'tsbuckets',
    color: { mode: p.color?.mode === 'opacity' ? 'opacity' : 'scheme', scheme: text(p.color?.colorScheme).replace(/^interpolate/, ''), fill: p.color?.cardColor, min: numberOr(p.color?.min), max: numberOr(p.color?.max), exponent: p.color?.exponent },
    yAxis: { unit: p.yAxis?.format, decimals: numberOr(p.yAxis?.decimals), min: numberOr(p.yAxis?.min), max: numberOr(p.yAxis?.max), reverse: p.reverseYBuckets === true },
    hideZero: p.hideZeroBuckets === true,
  });
}

function pie(p: Json, up: Upgraded): void {
  Object.assign(up.defaults, { unit: p.format ?? up.defaults.unit, decimals: numberOr(p.decimals) });
  Object.assign(up.options, {
    pieType: p.pieType,
    reduceOptions: { calcs: [reducerId(p.valueName ?? 'current')] },
    legend: { showLegend: p.legend?.show !== false, placement: /right/i.test(text(p.legendType)) ? 'right' : 'bottom', values: [...(p.legend?.values !== false ? ['value'] : []), ...(p.legend?.percentage ? ['percent'] : [])] },
  });
  for (const [alias, color] of Object.entries(p.aliasColors ?? {})) up.overrides.push({ matcher: { id: 'byName', options: alias }, properties: [{ id: 'color', value: { mode: 'fixed', fixedColor: color } }] });
}
