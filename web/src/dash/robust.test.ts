import { expect, test, vi } from 'vitest';
vi.mock('../app/router', () => ({ root: '/', href: (p: string) => p }));
import { configFor, display, thresholdEdges } from './field';
import type { Frame } from './frames';
import { fill } from './interpolate';
import { parseDashboard } from './model';

// Whatever stands in a file: it is read, and each panel has an id and a place.
const KINDS = ['timeseries', 'graph', 'stat', 'singlestat', 'gauge', 'bargauge', 'table', 'table-old', 'heatmap', 'histogram', 'grafana-piechart-panel', 'text', 'row'];
const rich = (type: string): object => ({
  id: 1, type, title: 't', gridPos: { x: 0, y: 0, w: 6, h: 6 }, span: 4, datasource: { type: 'prometheus', uid: 'x' }, targets: [{ refId: 'A', expr: 'up', legendFormat: '{{a}}', interval: '1m' }],
  fieldConfig: { defaults: { unit: 's', mappings: [{ type: 'value', options: { '1': { text: 'a' } } }], thresholds: { mode: 'absolute', steps: [{ value: null, color: 'green' }] }, custom: { stacking: { mode: 'normal' } } }, overrides: [{ matcher: { id: 'byName', options: 'a' }, properties: [{ id: 'unit', value: 'm' }] }] },
  options: { reduceOptions: { calcs: ['last'] }, fieldOptions: { calcs: ['avg'], defaults: {}, thresholds: [{ value: 1, color: 'red' }] }, valueOptions: { unit: 's', stat: 'avg' }, legend: { calcs: ['mean'] } },
  yaxes: [{ format: 's', min: '0' }, { format: 'bytes' }], grid: { leftMin: 1 }, y_formats: ['s'], thresholds: [{ value: 1, colorMode: 'critical' }], colors: ['red'], seriesOverrides: [{ alias: '/a/', yaxis: 2 }], aliasColors: { a: 'red' }, legend: { show: true, values: true, avg: true },
  valueMaps: [{ value: '1', text: 'a' }], rangeMaps: [{ from: '1', to: '2', text: 'b' }], mappingType: 1, gauge: { show: true }, sparkline: { show: true }, styles: [{ pattern: 'a', type: 'number', thresholds: ['1'], colorMode: 'cell', colors: ['red'] }], columns: [{ value: 'avg' }], transform: 'timeseries_aggregations',
  xaxis: { mode: 'time' }, dataFormat: 'tsbuckets', color: { mode: 'opacity' }, yAxis: { format: 's' }, transformations: [{ id: 'merge', options: {} }], links: [{ url: '/d/x' }], panels: [], libraryPanel: null,
});
const doc = (type: string): { panels: object[]; rows: object[] } & Record<string, unknown> => ({
  title: 'x', tags: ['a'], time: { from: 'now-1h', to: 'now' }, __inputs: [{ name: 'A', type: 'constant', value: '1' }], __elements: {}, links: [{ url: '/d/x' }], annotations: { list: [{ name: 'a', expr: 'up', filter: { ids: [1] } }] },
  templating: { list: [{ name: 'v', type: 'query', query: { query: 'label_values(a)', labelFilters: [] }, current: { value: 'a', text: 'a' }, options: [{ text: 'a', value: 'a' }] }] },
  panels: [rich(type)], rows: [{ panels: [rich(type)], height: '250px' }],
});

const ODD: unknown[] = [null, -1, 'x', '${x}', true, [null], ['x'], {}, { a: null }];

// Every place in the document holds one odd thing after the other while `look` looks at it.
function everywhere(node: unknown, odd: unknown[], look: (where: string) => void, path = ''): void {
  if (!node || typeof node !== 'object') return;
  const at = node as Record<string, unknown>;
  for (const key of Object.keys(at)) {
    const was = at[key];
    for (const o of odd) {
      at[key] = o;
      look(`${path}.${key} = ${JSON.stringify(o)}`);
    }
    at[key] = was;
    everywhere(was, odd, look, `${path}.${key}`);
  }
}

test.each(KINDS)('a %s with anything anywhere', (type) => {
  const wrong: string[] = [];
  const look = (whole: object) => (where: string): void => {
    try {
      const board = parseDashboard(whole);
      for (const p of board.rows.flatMap((r) => r.panels)) {
        if (typeof p.id !== 'string' || ![p.grid.x, p.grid.y, p.grid.w, p.grid.h].every(Number.isFinite)) wrong.push(`no place: ${where}`);
        if (p.problem !== '') wrong.push(`${p.problem}: ${where}`);
        for (const t of p.targets) fill(t.legend, board, {}, { from: 0, to: 1, step: 1, interval: 1 }, 'text');
      }
    } catch (e) {
      wrong.push(`${(e as Error).message}: ${where}`);
    }
  };
  const today = doc(type);
  everywhere(today, ODD, look(today));
  const old = { ...doc(type), panels: [] };
  everywhere(old.rows, ODD, look(old));
  expect(wrong).toEqual([]);
});

test('what stands around a value may be odd too', () => {
  const frame: Frame = { refId: 'A', fields: [{ name: 'Value', type: 'number', values: [1] }] };
  const whole = doc('stat');
  const { fieldConfig } = whole.panels[0] as { fieldConfig: object };
  const wrong: string[] = [];
  let looked = 0;
  everywhere(fieldConfig, ODD, (where) => {
    looked++;
    try {
      const panel = parseDashboard(whole).rows[0].panels[0];
      const config = configFor(panel, frame.fields[0], frame, [frame]);
      display(config, 1);
      thresholdEdges(config, 0, 1);
    } catch (e) {
      wrong.push(`${(e as Error).message}: ${where}`);
    }
  });
  expect(wrong).toEqual([]);
  expect(looked).toBeGreaterThan(100);
});
