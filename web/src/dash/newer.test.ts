import { expect, test, vi } from 'vitest';
vi.mock('../app/router', () => ({ root: '/', href: (p: string) => p }));
import { parseDashboard, type Json } from './model';
import { classic, isNewer } from './newer';

const query = (refId: string, expr: string): object => ({ kind: 'PanelQuery', spec: { refId, hidden: refId === 'B', query: { kind: 'DataQuery', group: 'prometheus', datasource: { name: 'ds' }, spec: { expr, legendFormat: '{{a}}' } } } });
const element = (id: number, type: string, more: object = {}): object => ({
  kind: 'Panel',
  spec: { id, title: `P${id}`, data: { kind: 'QueryGroup', spec: { queries: [query('A', `m${id}`), query('B', 'n')], transformations: [{ kind: 'Transformation', group: 'limit', spec: { options: { limitField: 3 } } }], queryOptions: { maxDataPoints: 50, timeFrom: '2h' } } }, vizConfig: { kind: 'VizConfig', group: type, spec: { options: { a: 1 }, fieldConfig: { defaults: { unit: 's' }, overrides: [] } } }, ...more },
});
const ref = (name: string) => ({ element: { kind: 'ElementReference', name } });
const elements = { a: element(1, 'stat'), b: element(2, 'timeseries'), c: element(3, 'gauge'), d: { kind: 'LibraryPanel', spec: { id: 4, title: 'Lib', libraryPanel: { uid: 'l', name: 'L' } } } };
const board = (layout: object, more: object = {}): Json => ({ apiVersion: 'dashboard.grafana.app/v2', kind: 'Dashboard', metadata: { name: 'u1' }, spec: { title: 'T', tags: ['x'], elements, layout, cursorSync: 'Crosshair', timeSettings: { from: 'now-3h', to: 'now', autoRefresh: '30s', timezone: 'utc' }, ...more } });
const read = (doc: Json) => parseDashboard(classic(doc));
const grid = (items: object[]) => ({ kind: 'GridLayout', spec: { items } });
const at = (name: string, x: number, y: number, more: object = {}) => ({ kind: 'GridLayoutItem', spec: { x, y, width: 6, height: 4, ...ref(name), ...more } });

test('a grid, and what the file says of its panels', () => {
  const d = read(board(grid([at('a', 0, 0), at('b', 6, 0, { repeat: { mode: 'variable', value: 'v', direction: 'v', maxPerRow: 2 } }), at('none', 12, 0)])));
  expect([d.uid, d.title, d.tags, d.from, d.refresh, d.timezone, d.sharedTooltip]).toEqual(['u1', 'T', ['x'], 'now-3h', '30s', 'utc', true]);
  const [a, b] = d.rows[0].panels;
  expect(d.rows[0].panels.length).toBe(2);
  expect([a.id, a.type, a.title, a.grid, a.defaults.unit, a.maxDataPoints, a.timeFrom]).toEqual(['1', 'stat', 'P1', { x: 0, y: 0, w: 6, h: 4 }, 's', 50, '2h']);
  expect(a.targets.map((t) => [t.refId, t.expr, t.legend, t.hide, t.foreign])).toEqual([['A', 'm1', '{{a}}', false, ''], ['B', 'n', '{{a}}', true, '']]);
  expect(a.transformations).toEqual([{ id: 'limit', options: { limitField: 3 } }]);
  expect([b.repeat, b.repeatDirection, b.maxPerRow]).toEqual(['v', 'v', 2]);
});

test('what the first version of the schema said otherwise', () => {
  const older = { kind: 'Panel', spec: { id: 9, title: 'old', data: { kind: 'QueryGroup', spec: { queries: [{ kind: 'PanelQuery', spec: { refId: 'A', datasource: { type: 'loki', uid: 'l' }, query: { kind: 'loki', spec: { expr: '{a="b"}' } } } }], transformations: [{ kind: 'merge', spec: { id: 'merge', options: {} } }] } }, vizConfig: { kind: 'table', spec: {} } } };
  const [p] = read({ spec: { title: 't', elements: { o: older }, layout: grid([at('o', 0, 0)]) } }).rows[0].panels;
  expect([p.type, p.transformations[0].id, p.targets[0].foreign, p.foreign]).toEqual(['table', 'merge', 'Loki', 'Loki']);
});

test('rows of a grid, rows, tabs and grids that lay themselves out', () => {
  const rows = (layout: object) => read(board(layout)).rows.map((r) => [r.title, r.collapsed, r.repeat, r.panels.map((p) => p.id)]);
  expect(rows(grid([at('a', 0, 0), { kind: 'GridLayoutRow', spec: { y: 4, title: 'R', collapsed: true, repeat: { mode: 'variable', value: 'v' }, elements: [at('b', 0, 0), at('c', 6, 0)] } }]))).toEqual([['', false, '', ['1']], ['R', true, 'v', ['2', '3']]]);
  const row = (title: string, layout: object, more: object = {}) => ({ kind: 'RowsLayoutRow', spec: { title, layout, ...more } });
  expect(rows({ kind: 'RowsLayout', spec: { rows: [row('', grid([at('a', 0, 0)]), { hideHeader: true }), row('One', grid([at('b', 0, 0)])), row('Two', grid([at('c', 0, 0)]), { collapse: true })] } })).toEqual([['', false, '', ['1']], ['One', false, '', ['2']], ['Two', true, '', ['3']]]);
  const tab = (title: string, layout: object) => ({ kind: 'TabsLayoutTab', spec: { title, layout } });
  expect(rows({ kind: 'TabsLayout', spec: { tabs: [tab('One', grid([at('a', 0, 0)])), tab('Two', { kind: 'RowsLayout', spec: { rows: [row('inner', grid([at('b', 0, 0)]))] } })] } })).toEqual([['', false, '', []], ['One', false, '', ['1']], ['Two', true, '', ['2']]]);
  const auto = read(board({ kind: 'AutoGridLayout', spec: { maxColumnCount: 2, columnWidthMode: 'standard', rowHeightMode: 'short', items: ['a', 'b', 'c'].map((n) => ({ kind: 'AutoGridLayoutItem', spec: ref(n) })) } })).rows[0].panels;
  expect(auto.map((p) => [p.grid.x, p.grid.y, p.grid.w, p.grid.h])).toEqual([[0, 0, 12, 4], [12, 0, 12, 4], [0, 4, 12, 4]]);
});

test('variables and annotations', () => {
  const spec = (kind: string, s: object) => ({ kind, spec: s });
  const d = read(board(grid([]), {
    variables: [
      spec('QueryVariable', { name: 'q', multi: true, includeAll: true, refresh: 'onTimeRangeChanged', sort: 'numericalDesc', hide: 'hideVariable', current: { text: 'All', value: '$__all' }, query: { kind: 'DataQuery', group: 'prometheus', spec: { query: 'label_values(up, job)', refId: 'x' } } }),
      spec('QueryVariable', { name: 'w', query: { kind: 'DataQuery', group: 'prometheus', spec: { __legacyStringValue: 'label_values(job)' } } }),
      spec('CustomVariable', { name: 'c', query: 'a,b' }), spec('DatasourceVariable', { name: 'ds', pluginId: 'prometheus' }), spec('TextVariable', { name: 't', query: 'hi' }),
      spec('SwitchVariable', { name: 's', current: 'on', enabledValue: 'on', disabledValue: 'off' }),
    ],
    annotations: [spec('AnnotationQuery', { name: 'Deploys', enable: true, iconColor: 'red', query: { kind: 'DataQuery', group: 'prometheus', spec: { expr: 'changes(x[1m])' } } }), spec('AnnotationQuery', { name: 'Own', builtIn: true, query: { kind: 'DataQuery', group: 'grafana', spec: {} } })],
  }));
  expect(d.variables.map((v) => [v.name, v.type, v.query])).toEqual([['q', 'query', 'label_values(up, job)'], ['w', 'query', 'label_values(job)'], ['c', 'custom', 'a,b'], ['ds', 'datasource', 'prometheus'], ['t', 'textbox', 'hi'], ['s', 'switch', '']]);
  const [q] = d.variables;
  expect([q.refresh, q.sort, q.hide, q.multi, q.includeAll]).toEqual([2, 4, 2, true, true]);
  expect([d.variables[5].current.value, d.variables[5].options.map((o) => o.value)]).toEqual(['on', ['on', 'off']]);
  expect(d.annotations.map((a) => [a.name, a.expr, a.color])).toEqual([['Deploys', 'changes(x[1m])', 'red']]);
});

test('a resource around the old schema, and what is none', () => {
  const doc = { kind: 'Dashboard', metadata: { name: 'n' }, spec: { title: 'Old', panels: [{ id: 1, type: 'text' }] } };
  expect([isNewer(doc), read(doc).uid, read(doc).rows[0].panels.length]).toEqual([true, 'n', 1]);
  expect(isNewer({ title: 'x', panels: [] })).toBe(false);
  expect(isNewer({ panels: [], spec: {} })).toBe(false);
});

test('whatever stands in such a file, it is read', () => {
  const odd: unknown[] = [null, -1, 'x', true, [null], {}, { a: null }, '__proto__'];
  const doc = board({ kind: 'RowsLayout', spec: { rows: [{ kind: 'RowsLayoutRow', spec: { title: 'r', layout: grid([at('a', 0, 0), { kind: 'GridLayoutRow', spec: { y: 4, elements: [at('b', 0, 0)] } }]) } }] } }, { variables: [{ kind: 'QueryVariable', spec: { name: 'q', query: { kind: 'DataQuery', spec: { query: 'x' } } } }], annotations: [{ kind: 'AnnotationQuery', spec: { name: 'a', query: { spec: { expr: 'up' } } } }] });
  const walk = (node: Json, path: string): void => {
    if (!node || typeof node !== 'object') return;
    for (const key of Object.keys(node)) {
      const was = node[key];
      for (const o of odd) {
        node[key] = o;
        expect(() => read(doc), `${path}.${key} = ${JSON.stringify(o)}`).not.toThrow();
      }
      node[key] = was;
      walk(was, `${path}.${key}`);
    }
  };
  walk(doc, '');
});
