// Panels of Grafana before 8, and of plugins that draw what we draw too, in today's words.
import type { Json, Override } from './model';
import { reducerId } from './reduce';

// A file may have anything where a list of things is meant.
export const objects = (v: Json): Json[] => (Array.isArray(v) ? v.filter((x) => x && typeof x === 'object') : []);
const text = (v: Json): string => (v === undefined || v === null ? '' : String(v));
const numberOr = (v: Json): number | undefined => (v === null || v === undefined || v === '' || v === 'auto' || Number.isNaN(Number(v)) ? undefined : Number(v));

// Which of our drawings stands for a panel type. Grafana's own older ones:
const SAME: Record<string, string> = {
  singlestat: 'stat', 'grafana-singlestat-panel': 'stat', graph: 'timeseries', 'table-old': 'table', 'grafana-piechart-panel': 'piechart', 'heatmap-new': 'heatmap',
  alertGroups: 'alertlist', logstable: 'logs', 'logs-new': 'logs', 'ryantxu-annolist-panel': 'annolist', pluginlist: 'text', welcome: 'text', gettingstarted: 'text',
};
// Plug-ins, and what of Grafana is not drawn here as there: "drawing=types". The panel says what it stands for.
const STANDS: Record<string, string> = {};
for (const line of [
  'stat=vonage-status-panel pmm-singlestat-panel blackmirror1-singlestat-math-panel blackmirror1-statusbygroup-panel grafana-polystat-panel farski-blendstat-panel snuids-trafficlights-panel smartmakers-trafficlight-panel btplc-status-dot-panel btplc-trend-box-panel michaeldmoore-annunciator-panel serrrios-statusoverview-panel jeanbaptistewatenberg-percent-panel larona-epict-panel bessler-pictureit-panel',
  'gauge=briangann-gauge-panel',
  'timeseries=pmm-graph-panel grafana-multibar-graph-panel natel-plotly-panel nline-plotlyjs-panel ae3e-plotly-panel volkovlabs-echarts-panel corpglory-chartwerk-panel neocat-cal-heatmap-panel',
  'table=pmm-table-panel briangann-datatable-panel yesoreyeram-boomtable-panel volkovlabs-table-panel datagrid geomap grafana-worldmap-panel panodata-map-panel orchestracities-map-panel pr0ps-trackmap-panel nodeGraph canvas debug agenty-flowcharting-panel andrewbmchugh-flow-panel esnet-matrix-panel novatec-sdg-panel gretamosa-topology-panel knightss27-weathermap-panel marcusolsson-dynamictext-panel zuburqan-parity-report-panel',
  'bargauge=michaeldmoore-multistat-panel corpglory-progresslist-panel jdbranham-diagram-panel marcusolsson-hexmap-panel snuids-radar-panel',
  'barchart=isaozler-paretochart-panel fatcloud-windrose-panel',
  'piechart=marcusolsson-treemap-panel',
  'state-timeline=natel-discrete-panel marcusolsson-gantt-panel',
  'status-history=flant-statusmap-panel',
  'histogram=mtanda-histogram-panel',
  'heatmap=savantly-heatmap-panel marcusolsson-hourly-heatmap-panel mtanda-heatmap-epoch-panel petrslavotinek-carpetplot-panel',
  'xychart=grafana-xyz-chart-panel',
  'text=digiapulssi-breadcrumb-panel pmm-update pmm-check-panel-home',
  'dashlist=pmm-dashlist-panel pmm-dashlist',
  // Nothing of what these do is done here.
  'plugin=grafana-clock-panel cloudspout-button-panel speakyourcode-button-panel volkovlabs-form-panel volkovlabs-image-panel dalvany-image-panel innius-video-panel gapit-htmlgraphics-panel aidanmountford-html-panel ryantxu-ajax-panel satellogic-3d-globe-panel macropower-analytics-panel mxswat-separator-panel yesoreyeram-boomtheme-panel williamvenner-timepickerbuttons-panel marcuscalidus-svg-panel snuids-svg-panel grafana-guidedtour-panel alexanderzobnin-zabbix-triggers-panel flaminggoat-maptrack3d-panel',
]) {
  const [drawing, types] = line.split('=');
  for (const type of types.split(' ')) STANDS[type] = drawing;
}

const own = (table: Record<string, string>, key: Json): string | undefined => (typeof key === 'string' && Object.hasOwn(table, key) ? table[key] : undefined);

export const typeOf = (type: Json): string => own(SAME, type) ?? own(STANDS, type) ?? (typeof type === 'string' && type !== '' ? type : 'unknown');

// What a panel is in the file, where it is drawn as something else; empty where that is the same thing.
export const standsFor = (type: Json): string => (own(STANDS, type) !== undefined && !String(type).startsWith('pmm-') ? String(type) : '');

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
    hideEmpty: legend.hideEmpty === true,
    hideZero: legend.hideZero === true,
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
