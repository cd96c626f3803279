import { expect, test, vi } from 'vitest';
vi.mock('../app/router', () => ({ root: '/', href: (p: string) => p }));
import { marksIn } from './annotations';
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
  const a = { name: 'n', expr: 'x', color: 'red', enabled: true, hidden: false, title: '{{job}} up', text: '', tagKeys: ['job'], step: '', valueForTime: false };
  const series = { metric: { job: 'j' }, values: [[10, '1'], [20, '1'], [30, '0'], [40, '1']] as [number, string][] };
  expect(marksIn(a, series, 10).map((m) => [m.from, m.to, m.title, m.text])).toEqual([[10, 20, 'j up', 'j'], [40, undefined, 'j up', 'j']]);
  expect(marksIn({ ...a, valueForTime: true }, { ...series, values: [[10, '5000'], [20, '5000']] }, 10).map((m) => m.from)).toEqual([5]);
});
