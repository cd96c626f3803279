import { expect, test } from 'vitest';
import { nameOf, type Frame } from './frames';
import chains from './testdata/chains.json';
import golden from './testdata/transformations.json';
import { reduceCells } from './reduce';
import { transform } from './transform';

const plain = (v: unknown): unknown => (typeof v === 'number' ? (Number.isNaN(v) ? 'NaN' : Number.isFinite(v) ? Number(v.toPrecision(12)) : null) : (v ?? null));

// Frames before and after, as Grafana's own library (@grafana/data 13) makes them.
test.each(golden.map((g, i) => [`${i} ${g.id} ${JSON.stringify(g.options)}`, g] as const))('%s', (_, g) => {
  const out = transform(structuredClone(g.input) as unknown as Frame[], [{ id: g.id, options: g.options }]);
  expect(out.map((frame) => frame.fields.map((f) => [nameOf(f, frame, out), f.values.map(plain)]))).toEqual(g.want);
});

// Several, one after the other, drawn by lot, with the same library's answers. (It keeps a field's first name through
// some of them where this page gives it a new one; such cases are not among these.)
test.each(chains.map((g, i) => [`${i} ${g.chain.map((c) => c.id).join(', ')}`, g] as const))('%s', (_, g) => {
  const out = transform(structuredClone(g.input) as unknown as Frame[], g.chain);
  expect(out.map((frame) => frame.fields.map((f) => [nameOf(f, frame, out), f.values.map(plain)]))).toEqual(g.want);
});

test('a disabled, an unknown and an inherited name change nothing', () => {
  const frames: Frame[] = [{ refId: 'A', fields: [{ name: 'v', type: 'number', values: [1, 2] }] }];
  expect(transform(frames, [{ id: 'limit', options: { limitField: 1 }, disabled: true }])).toEqual(frames);
  expect(transform(frames, [{ id: 'noSuchThing', options: {} }])).toEqual(frames);
  expect(transform(frames, [{ id: 'constructor', options: {} }])).toEqual(frames);
});

test('a filter by query leaves the frames of other queries alone', () => {
  const frames: Frame[] = ['A', 'B'].map((refId) => ({ refId, fields: [{ name: 'v', type: 'number' as const, values: [1, 2, 3] }] }));
  const out = transform(frames, [{ id: 'limit', options: { limitField: 1 }, filter: { id: 'byRefId', options: 'B' } }]);
  expect(out.map((f) => [f.refId, f.fields[0].values.length])).toEqual([['A', 3], ['B', 1]]);
});

test('calculations', () => {
  const values = [1, 5, 2, null, 9, 4];
  const want: Record<string, unknown> = { lastNotNull: 4, first: 1, min: 1, max: 9, mean: 4.2, median: 4, sum: 21, count: 5, countAll: 6, range: 8, delta: 4, step: -5, diff: 3, changeCount: 4, distinctCount: 5, diffperc: 300, p50: 4, p90: 9, allIsNull: false, allIsZero: false };
  for (const [id, v] of Object.entries(want)) expect(reduceCells(values, id), id).toBe(v);
  expect(reduceCells(values, 'variance')).toBeCloseTo(7.76);
  expect([reduceCells([1, NaN, 3], 'stdDev'), reduceCells([1, NaN, 3], 'mean')]).toEqual([NaN, 2]);
  expect(reduceCells([], 'lastNotNull')).toBe(null);
  expect(reduceCells(['a', 'b', 'a'], 'distinctCount')).toBe(2);
});

// "cluster 2" of a join is still called so when "cluster 1" has been left out, as in the dashboards of kubernetes-mixin.
test('fields are organized by the names that they had in the beginning', () => {
  const frames: Frame[] = ['A', 'B', 'C'].map((refId, i) => ({ refId, fields: [{ name: 'Time', type: 'time' as const, values: [1] }, { name: 'ns', type: 'string' as const, values: ['x'] }, { name: 'cluster', type: 'string' as const, values: [`c${i}`] }, { name: `Value #${refId}`, type: 'number' as const, values: [i] }] }));
  const [out] = transform(frames, [{ id: 'joinByField', options: { byField: 'ns', mode: 'outer' } }, { id: 'organize', options: { excludeByName: { 'Time 1': true, 'Time 2': true, 'Time 3': true, 'cluster 1': true, 'cluster 3': true }, renameByName: { 'cluster 2': 'Cluster', 'Value #A': 'Used' }, indexByName: { 'cluster 2': 0, ns: 1 } } }]);
  expect(out.fields.map((f) => [nameOf(f, out, [out]), f.values[0]])).toEqual([['Cluster', 'c1'], ['ns', 'x'], ['Used', 0], ['Value #B', 1], ['Value #C', 2]]);
});
