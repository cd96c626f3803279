import { expect, test, vi } from 'vitest';
vi.mock('../app/router', () => ({ root: '/', href: (p: string) => p }));
import { marksIn } from './annotations';
import { configFor } from './field';
import { parseDashboard } from './model';

test('rows of before 5 and panels of today are one thing', () => {
  const old = parseDashboard({ title: 'x', rows: [{ height: '250px', panels: [{ id: 1, span: 6, type: 'graph' }, { id: 2, span: 6, type: 'singlestat' }, { id: 3, span: 12, type: 'table', styles: [] }] }] });
  expect(old.rows[0].panels.map((p) => [p.id, p.type, p.grid.x, p.grid.w, p.grid.y > 0])).toEqual([['1', 'timeseries', 0, 12, false], ['2', 'stat', 12, 12, false], ['3', 'table', 0, 24, true]]);
});

test('a graph of Grafana 4 keeps its axes, colours and overrides', () => {
  const [panel] = parseDashboard({ panels: [{ id: 1, type: 'graph', yaxes: [{ format: 'bytes', min: '0', max: null, logBase: 1 }, { format: 'percent' }], stack: true, percentage: true, fill: 2, nullPointMode: 'connected', aliasColors: { a: '#fff' }, seriesOverrides: [{ alias: '/tx/', transform: 'negative-Y', yaxis: 2 }], legend: { show: true, values: true, avg: true, current: true, alignAsTable: true, rightSide: true } }] }).rows[0].panels;
  expect(panel.defaults).toMatchObject({ unit: 'bytes', min: 0, custom: { fillOpacity: 20, spanNulls: true, stacking: { mode: 'percent' } } });
  expect(panel.defaults.max).toBeUndefined();
  expect(panel.overrides.map((o) => o.matcher)).toEqual([{ id: 'byName', options: 'a' }, { id: 'byRegexp', options: '/tx/' }]);
  expect(panel.overrides[1].properties).toContainEqual({ id: 'custom.transform', value: 'negative-Y' });
  expect(panel.options.legend).toMatchObject({ displayMode: 'table', placement: 'right', calcs: ['mean', 'lastNotNull'] });
});

test('a singlestat keeps thresholds, mappings and what stands around the number', () => {
  const [panel] = parseDashboard({ panels: [{ id: 1, type: 'singlestat', format: 's', valueName: 'current', prefix: 'up ', thresholds: '10,20', colors: ['green', 'orange', 'red'], colorValue: true, valueMaps: [{ value: 'null', text: 'N/A' }, { value: '1', text: 'OK' }], mappingType: 1 }] }).rows[0].panels;
  expect(panel).toMatchObject({ type: 'stat', defaults: { unit: 's', noValue: 'N/A', thresholds: { steps: [{ color: 'green', value: null }, { color: 'orange', value: 10 }, { color: 'red', value: 20 }] } }, options: { around: ['up ', ''], reduceOptions: { calcs: ['lastNotNull'] }, colorMode: 'value' } });
  expect(panel.defaults.mappings).toHaveLength(2);
});

test('panels without an id, or with one that is taken, get one of their own', () => {
  const ids = parseDashboard({ panels: [{ id: 1, type: 'stat' }, { id: 1, type: 'stat' }, { type: 'stat' }] }).rows[0].panels.map((p) => p.id);
  expect(new Set(ids).size).toBe(3);
});

test('what is missing or of the wrong kind is not fatal', () => {
  expect(parseDashboard({ panels: [{}, { type: 7, targets: 'x', links: null, gridPos: null }], templating: { list: [{}] }, annotations: {} }).rows[0].panels.map((p) => p.type)).toEqual(['unknown', 'unknown']);
});

test('annotations: neighbours are one mark, a value may be the moment', () => {
  const a = { name: 'n', expr: 'x', color: 'red', enabled: true, hidden: false, title: '{{job}} up', text: '', tagKeys: ['job'], step: '', valueForTime: false, panels: null };
  const series = { metric: { job: 'j' }, values: [[10, '1'], [20, '1'], [30, '0'], [40, '1']] as [number, string][] };
  expect(marksIn(a, series, 10).map((m) => [m.from, m.to, m.title, m.text])).toEqual([[10, 20, 'j up', 'j'], [40, undefined, 'j up', 'j']]);
  expect(marksIn({ ...a, valueForTime: true }, { ...series, values: [[10, '5000'], [20, '5000']] }, 10).map((m) => m.from)).toEqual([5]);
});

const first = (p: object, doc: object = {}) => parseDashboard({ ...doc, panels: [{ id: 1, type: 'timeseries', ...p }] }).rows[0].panels[0];

test('panels of a library that are in the file', () => {
  const model = { type: 'stat', title: 'Shared', targets: [{ refId: 'A', expr: 'up' }], options: { graphMode: 'none' } };
  const inline = parseDashboard({ panels: [{ id: 7, gridPos: { x: 1, y: 0, w: 3, h: 2 }, libraryPanel: { uid: 'l', name: 'n', model } }] }).rows[0].panels[0];
  expect([inline.id, inline.type, inline.title, inline.grid.w, inline.targets[0].expr]).toEqual(['7', 'stat', 'Shared', 3, 'up']);
  const element = parseDashboard({ __elements: { l: { uid: 'l', kind: 1, model } }, panels: [{ id: 7, libraryPanel: { uid: 'l', name: 'n' } }, { id: 8, libraryPanel: { uid: 'constructor', name: 'n' } }] }).rows[0].panels;
  expect(element.map((p) => p.type)).toEqual(['stat', 'unknown']);
});

test('whom a panel asks, in every way of saying it', () => {
  const foreign = (datasource: unknown, doc: object = {}) => first({ datasource, targets: [{ refId: 'A', expr: 'x' }] }, doc).foreign;
  const inputs = { __inputs: [{ name: 'DS_LOKI', type: 'datasource', pluginId: 'loki' }, { name: 'DS_PROMETHEUS', type: 'datasource', pluginId: 'prometheus' }], templating: { list: [{ name: 'logs', type: 'datasource', query: 'loki' }, { name: 'metrics', type: 'datasource', query: 'prometheus' }] } };
  for (const own of [undefined, null, '', 'default', 'Prometheus', 'My metrics', '${DS_PROMETHEUS}', '$metrics', '[[metrics]]', '${nothing}', '-- Mixed --', '-- Grafana --', { type: 'prometheus', uid: 'x' }, { uid: '${metrics}' }, { type: 'datasource', uid: '-- Dashboard --' }, { type: 'grafana', uid: 'grafana' }, { type: 'grafana-amazonprometheus-datasource', uid: 'x' }, { type: 'victoriametrics-metrics-datasource', uid: 'x' }, { type: '${type}', uid: 'x' }, 7]) {
    expect(foreign(own, inputs), JSON.stringify(own)).toBe('');
  }
  for (const [other, name] of [['${DS_LOKI}', 'Loki'], ['$logs', 'Loki'], ['Loki', 'Loki'], [{ type: 'loki', uid: 'x' }, 'Loki'], [{ uid: '${logs}' }, 'Loki'], [{ type: 'mysql', uid: 'x' }, 'MySQL'], [{ type: 'grafana-clickhouse-datasource', uid: 'x' }, 'clickhouse']] as const) {
    expect(foreign(other, inputs), JSON.stringify(other)).toBe(name);
  }
  // One query that can be asked is enough.
  expect(first({ targets: [{ refId: 'A', expr: 'x', datasource: { type: 'loki' } }, { refId: 'B', expr: 'up' }] }).foreign).toBe('');
});

test('what another panel asks, with its transformations where the file says so', () => {
  const doc = { panels: [{ id: 1, type: 'timeseries', targets: [{ refId: 'A', expr: 'up' }], transformations: [{ id: 'merge', options: {} }] }, { id: 2, type: 'stat', datasource: { type: 'datasource', uid: '-- Dashboard --' }, targets: [{ refId: 'A', panelId: 1, withTransforms: true }], transformations: [{ id: 'limit', options: {} }] }, { id: 3, type: 'stat', datasource: '-- Dashboard --', targets: [{ refId: 'A', panelId: 1 }] }] };
  const [, two, three] = parseDashboard(doc).rows[0].panels;
  expect([two.targets.map((t) => t.expr), two.transformations.map((t) => t.id)]).toEqual([['up'], ['merge', 'limit']]);
  expect([three.targets.map((t) => t.expr), three.transformations]).toEqual([['up'], []]);
});

test('annotations on some panels only; of sources that are not here none', () => {
  const list = parseDashboard({ panels: [], annotations: { list: [{ builtIn: 1, datasource: '-- Grafana --', name: 'Annotations & Alerts' }, { name: 'a', expr: 'changes(up[5m])', filter: { exclude: true, ids: [3] } }, { name: 'b', target: { expr: 'x', interval: '1m' }, enable: false }, { name: 'l', datasource: { type: 'loki' }, expr: '{a="b"}' }] } }).annotations;
  expect(list.map((a) => [a.name, a.expr, a.step, a.enabled, a.panels])).toEqual([['a', 'changes(up[5m])', '', true, { ids: ['3'], except: true }], ['b', 'x', '1m', false, null]]);
});

test("gauges and stats of Grafana 6 and a singlestat's column", () => {
  const gauge = first({ type: 'gauge', options: { fieldOptions: { calcs: ['avg'], defaults: { title: 'T', unit: 'percent', min: 0, max: 100 }, mappings: [{ id: 0, type: 1, value: '1', text: 'one' }], thresholds: [{ color: 'red', value: 80 }, { color: 'green', value: null }] } } });
  expect(gauge).toMatchObject({ defaults: { displayName: 'T', unit: 'percent', mappings: [{ type: 'value', options: { '1': { text: 'one' } } }], thresholds: { steps: [{ color: 'green' }, { color: 'red', value: 80 }] } }, options: { reduceOptions: { calcs: ['mean'] } } });
  const column = (format: string) => first({ type: 'singlestat', tableColumn: 'instance', targets: [{ refId: 'A', expr: 'x', format }] }).options.reduceOptions.fields;
  expect([column('time_series'), column('table')]).toEqual([undefined, 'instance']);
});

test('thresholds of a graph stand in the order of their values', () => {
  expect(first({ type: 'graph', yaxes: [{}, {}], thresholds: [{ value: 90, colorMode: 'critical' }, null, { value: 70, colorMode: 'warning' }] }).defaults.thresholds.steps.map((s: { value: number | null }) => s.value)).toEqual([null, 70, 90]);
});

test('of the styles of an old table the first that fits a column is the one', () => {
  const panel = first({ type: 'table', transform: 'table', styles: [{ pattern: 'Value', alias: 'Latency', type: 'number', unit: 'ms', decimals: 2 }, { pattern: 'Time', type: 'date' }, { pattern: '/.*/', type: 'hidden', unit: 'short' }] });
  const frame = { refId: 'A', fields: [{ name: 'Time', type: 'time' as const, values: [1] }, { name: 'host', type: 'string' as const, values: ['a'] }, { name: 'Value', type: 'number' as const, values: [1] }] };
  expect(frame.fields.map((f) => configFor(panel, f, frame, [frame])).map((c) => [c.custom.hidden, c.displayName, c.unit])).toEqual([[false, undefined, 'dateTimeAsIso'], [true, undefined, undefined], [false, 'Latency', 'ms']]);
});
