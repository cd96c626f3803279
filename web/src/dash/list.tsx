import { useMemo } from 'preact/hooks';
import { plain } from '../api/client';
import { href, params, setParams } from '../app/router';
import { Badge, Filter, Loaded, Page, useLoad } from '../ui/parts';
import { missing } from '../pages/notifications';

interface Found {
  uid: string;
  title: string;
  tags: string[];
  folderTitle?: string;
}

export function DashboardList() {
  const load = useLoad(async (signal): Promise<Found[]> => {
    try {
      return await plain<Found[]>('api/search?type=dash-db', { signal });
    } catch (e) {
      if (missing(e)) return [];
      throw e;
    }
  }, [], 30);
  const search = params.value.get('search') ?? '';
  const tag = params.value.get('tag') ?? '';
  const found = useMemo(() => {
    const words = search.toLowerCase().split(/\s+/).filter(Boolean);
    return (load.data ?? []).filter((d) => (tag === '' || d.tags.includes(tag)) && words.every((w) => d.title.toLowerCase().includes(w)));
  }, [load.data, search, tag]);
  return (
    <Page name="dashboards" title="Dashboards" aside={<Filter value={search} onInput={(v) => setParams({ search: v })} label="Filter dashboards" />}>
      <Loaded load={load}>
        {(all) =>
          all.length === 0 ? (
            <div class="card empty">
              <h2>No dashboards</h2>
              <p>
                Put Grafana's JSON files into a directory and name it with <code>--web.dashboards</code>; they are read as they are.
              </p>
            </div>
          ) : (
            <section class="card table-scroll">
              {tag !== '' && (
                <div class="card-head">
                  <button type="button" onClick={() => setParams({ tag: '' })}>
                    {tag} ×
                  </button>
                </div>
              )}
              <table>
                <tbody>
                  {found.map((d) => (
                    <tr key={d.uid}>
                      <td>
                        <a href={href(`/d/${encodeURIComponent(d.uid)}`)}>
                          <b>{d.title}</b>
                        </a>
                      </td>
                      <td>
                        {d.tags.map((t) => (
                          <button type="button" class="label" key={t} onClick={() => setParams({ tag: t })}>
                            {t}
                          </button>
                        ))}
                      </td>
                      <td class="num">
                        <a class="nowrap" data-plain download={`${d.uid}.json`} href={href(`/api/dashboards/uid/${encodeURIComponent(d.uid)}/raw`)}>
                          JSON
                        </a>
                      </td>
                      <td class="num">{d.folderTitle && <Badge tone="unknown" icon={false}>{d.folderTitle}</Badge>}</td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </section>
          )
        }
      </Loaded>
    </Page>
  );
}
