import { href, params, setParams } from '../app/router';
import { about, ago, duration } from '../format/time';
import { Badge, Filter, Labels, Loaded, Page, useLoad } from '../ui/parts';
import { loadGroups } from './rules_data';
import { SubNav } from './subnav';

export function Rules() {
  const load = useLoad((signal) => loadGroups('', signal), [], 15);
  const search = params.value.get('search') ?? '';
  return (
    <Page name="rules" title="Rules" aside={<Filter value={search} onInput={(v) => setParams({ search: v })} label="Filter rules" />}>
      <SubNav of="alerts" />
      <Loaded load={load}>
        {(groups) => {
          const words = search.toLowerCase().split(/\s+/).filter(Boolean);
          const now = Date.now() / 1000;
          if (groups.length === 0) {
            return (
              <div class="card empty">
                <h2>No rule groups</h2>
                <p>
                  Name rule files under <code>rule_files</code>.
                </p>
              </div>
            );
          }
          return groups.map((g) => {
            const rules = g.rules.filter((r) => words.every((w) => `${r.name} ${r.query} ${g.name}`.toLowerCase().includes(w)));
            if (rules.length === 0) return null;
            return (
              <section class="card table-scroll" key={g.file + g.name}>
                <div class="card-head">
                  <h2>{g.name}</h2>
                  <span class="faint mono clip grow">{g.file}</span>
                  <span class="faint nowrap">
                    every {duration(g.interval)} · took {about(g.evaluationTime)} · {ago(Date.parse(g.lastEvaluation) / 1000, now)}
                  </span>
                </div>
                <table class="rules">
                  <tbody>
                    {rules.map((r, i) => (
                      <tr key={i} data-rule={r.name}>
                        <td class="rule-name">
                          <b>{r.name}</b>
                          <div class="faint">{r.type === 'alerting' ? `alert${r.duration ? `, for ${duration(r.duration)}` : ''}` : 'record'}</div>
                        </td>
                        <td>
                          <a class="mono wrap" href={href(`/query?g0.expr=${encodeURIComponent(r.query)}&g0.tab=graph`)}>
                            {r.query}
                          </a>
                          {r.lastError && <div class="bad-text wrap">{r.lastError}</div>}
                          <div>
                            <Labels labels={r.labels ?? {}} />
                          </div>
                        </td>
                        <td class="num">
                          <Badge tone={r.health === 'ok' ? 'ok' : r.health === 'err' ? 'bad' : 'unknown'}>{r.health}</Badge>
                        </td>
                        <td class="num dim nowrap">{about(r.evaluationTime)}</td>
                        <td class="num dim nowrap">{ago(Date.parse(r.lastEvaluation) / 1000, now)}</td>
                      </tr>
                    ))}
                  </tbody>
                </table>
              </section>
            );
          });
        }}
      </Loaded>
    </Page>
  );
}
