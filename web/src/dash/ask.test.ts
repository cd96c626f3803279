import { beforeEach, expect, test, vi } from 'vitest';

interface Asked {
  expr: string;
  step?: number;
  start?: number;
  end: number;
}
const asked: Asked[] = [];
let ranges: (expr: string) => { metric: Record<string, string>; values: [number, string][] }[] = () => [];
let instants: (expr: string) => { metric: Record<string, string>; value: [number, string] }[] = () => [];
vi.mock('../api/client', () => ({
  ApiError: class extends Error {},
  ColumnSeries: class {},
  query: async (expr: string, end: number) => {
    asked.push({ expr, end });
    return { data: { resultType: 'vector', result: instants(expr) }, warnings: [] };
  },
  queryRange: async (expr: string, start: number, end: number, step: number) => {
    asked.push({ expr, start, end, step });
    return { data: { resultType: 'matrix', result: ranges(expr) }, warnings: [] };
  },
}));

import { ask, rangeOf, stepOf, type Answer, type Context } from './ask';
import { parseDashboard, type Panel } from './model';

const NOW = 1_700_000_400;
function context(doc: object = {}): Context {
  return { board: parseDashboard({ panels: [], ...doc }), scope: {}, from: NOW - 3600, to: NOW, turn: 0, utc: true, onZoom: () => undefined, scrapeInterval: 15, marks: [] };
}
const panelOf = (p: object, doc: object = {}): Panel => parseDashboard({ ...doc, panels: [{ id: 1, type: 'timeseries', ...p }] }).rows[0].panels[0];
const answer = (p: object, doc: object = {}): Promise<Answer> => ask(panelOf(p, doc), context(doc), 600, {}, new AbortController().signal);
beforeEach(() => {
  asked.length = 0;
  ranges = () => [];
  instants = () => [];
});

test("the step and $__rate_interval are Grafana's", () => {
  const of = (target: object, more: object = {}, points = 600, range = 3600) => {
    const panel = panelOf({ targets: [{ refId: 'A', expr: 'x', ...target }], ...more });
    return stepOf(panel.targets[0], panel, context(), points, range);
  };
  expect(of({})).toEqual({ step: 15, rate: 60 });
  expect(of({}, {}, 100, 86_400)).toEqual({ step: 900, rate: 915 });
  // A least step of the query stands in for the scrape interval.
  expect(of({ interval: '1m' })).toEqual({ step: 60, rate: 240 });
  expect(of({}, { interval: '2m' })).toEqual({ step: 120, rate: 135 });
  expect(of({ interval: '$__rate_interval' })).toEqual({ step: 60, rate: 60 });
  expect(of({ interval: '${__interval}' })).toEqual({ step: 15, rate: 60 });
  expect(of({ intervalFactor: 4 })).toEqual({ step: 60, rate: 60 });
  expect(of({ interval: '>=5m' }).step).toBe(300);
});

test('a panel may look at another time', () => {
  const of = (p: object): [number, number] => rangeOf(panelOf(p), context());
  expect(of({})).toEqual([NOW - 3600, NOW]);
  expect(of({ timeFrom: '2h' })).toEqual([NOW - 7200, NOW]);
  expect(of({ timeFrom: 'now-6h' })).toEqual([NOW - 21_600, NOW]);
  expect(of({ timeShift: '1d' })).toEqual([NOW - 90_000, NOW - 86_400]);
  expect(of({ timeShift: '-1h' })).toEqual([NOW - 7200, NOW - 3600]);
  const [from] = of({ timeFrom: 'now/d' });
  expect(new Date(from * 1000).getHours()).toBe(0);
  expect(of({ timeFrom: 'nonsense' })).toEqual([NOW - 3600, NOW]);
});

test('instant, range, and both', async () => {
  await answer({ targets: [{ refId: 'A', expr: 'a', instant: true }, { refId: 'B', expr: 'b' }, { refId: 'C', expr: 'c', instant: true, range: true }, { refId: 'D', expr: 'd', hide: true }, { refId: 'E', expr: 'e', format: 'table' }] });
  expect(asked.filter((a) => a.step === undefined).map((a) => a.expr).sort()).toEqual(['a', 'c']);
  // A table asks over time too, unless it says that it does not.
  expect(asked.filter((a) => a.step !== undefined).map((a) => a.expr).sort()).toEqual(['b', 'c', 'e']);
});

test('buckets of a heatmap are what each adds, in their order', async () => {
  ranges = () => ['10', '+Inf', '1'].map((le) => ({ metric: { le }, values: [[NOW - 15, { '1': '2', '10': '5', '+Inf': '5' }[le]!]] }));
  const { series } = await answer({ type: 'bargauge', targets: [{ refId: 'A', expr: 'x', format: 'heatmap' }] });
  expect(series.map((s) => [s.name, s.values.find((v) => v !== null)])).toEqual([['1', 2], ['10', 3], ['+Inf', 0]]);
});

test('names: legend, auto, the series itself', async () => {
  ranges = () => [{ metric: { __name__: 'up', job: 'n', instance: 'a' }, values: [[NOW - 15, '1']] }];
  const name = async (target: object): Promise<string> => (await answer({ targets: [{ refId: 'A', expr: 'up', ...target }] })).series[0].name;
  expect(await name({ legendFormat: '{{job}} on {{ instance }}{{none}}' })).toBe('n on a');
  expect(await name({ legendFormat: '__auto' })).toBe('{__name__="up", instance="a", job="n"}');
  expect(await name({})).toBe('up{instance="a", job="n"}');
  ranges = () => [{ metric: {}, values: [[NOW - 15, '1']] }];
  expect(await name({ legendFormat: '__auto' })).toBe('up');
});

const EXPR = { type: '__expr__', uid: '__expr__' };

test('expressions are computed, also from queries that are hidden', async () => {
  ranges = (expr) => [{ metric: { host: 'a' }, values: [[NOW - 15, expr === 'used' ? '30' : '60'], [NOW, expr === 'used' ? '20' : '40']] }];
  const got = await answer({
    targets: [
      { refId: 'A', expr: 'used', hide: true },
      { refId: 'B', expr: 'size', hide: true },
      { refId: 'unused', expr: 'unused', hide: true },
      { refId: 'C', datasource: EXPR, type: 'math', expression: '$A / $B * 100' },
      { refId: 'D', datasource: EXPR, type: 'reduce', expression: 'C', reducer: 'mean' },
      { refId: 'E', datasource: EXPR, type: 'threshold', expression: 'D', conditions: [{ evaluator: { type: 'gt', params: [10] } }], hide: true },
    ],
  });
  expect(asked.map((a) => a.expr).sort()).toEqual(['size', 'used']);
  expect(got.series.map((s) => [s.refId, s.name, s.values.filter((v) => v !== null)])).toEqual([['C', 'C a', [50, 50]], ['D', 'D a', [50]]]);
  expect(got.failed).toEqual([]);
});

test('an expression that cannot be computed is said, and the rest draws', async () => {
  ranges = () => [{ metric: {}, values: [[NOW, '1']] }];
  const targets = (expression: string) => [{ refId: 'A', expr: 'x' }, { refId: 'B', datasource: EXPR, type: 'math', expression }];
  expect((await answer({ targets: targets('$Z + 1') })).failed).toEqual(['expression: there is no query “Z”']);
  expect((await answer({ targets: targets('$B + 1') })).failed).toEqual(['expression: “B” is computed from itself']);
  expect((await answer({ targets: targets('$A +') })).series).toHaveLength(1);
});

test('a query to a source that is not here is left out and said', async () => {
  ranges = () => [{ metric: {}, values: [[NOW, '1']] }];
  const got = await answer({ datasource: '-- Mixed --', targets: [{ refId: 'A', expr: 'x', datasource: { type: 'prometheus', uid: 'p' } }, { refId: 'B', expr: '{app="x"} |= "e"', datasource: { type: 'loki', uid: 'l' } }] });
  expect(asked.map((a) => a.expr)).toEqual(['x']);
  expect(got.notes).toEqual(['Query B asks Loki, which is not available here.']);
});

test('variables of the time reach queries', async () => {
  await answer({ interval: '30s', targets: [{ refId: 'A', expr: 'rate(x[$__rate_interval]) + $__interval_ms + $__range_s + x[$interval]' }] });
  expect(asked[0].expr).toBe('rate(x[1m]) + 30000 + 3600 + x[30s]');
});
