import { signal } from '@preact/signals';
import type { ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { online, recovered } from '../api/client';
import { learnRole } from './access';
import { Icon } from '../ui/icons';
import { Dialog, Menu, Skeleton } from '../ui/parts';
import { installKeys, KEYS } from './keys';
import { Palette } from './palette';
import { go, href, path } from './router';
import { change, dark, settings, syncSettings, toggleTheme } from './settings';

export const paletteOpen = signal(false);
export const keysOpen = signal(false);

const NAV: [string, string, RegExp][] = [
  ['/', 'Overview', /^\/$/],
  ['/query', 'Explore', /^\/query/],
  ['/dashboards', 'Dashboards', /^\/(dashboards|d\/)/],
  ['/alerts', 'Alerts', /^\/(alerts|rules|alerting|silences|rehearse)/],
  ['/targets', 'Targets', /^\/(targets|service-discovery|agents)/],
  ['/status', 'Status', /^\/(status|tsdb-status|queries|flags|config|alertmanager-discovery)/],
];

type Loader = () => Promise<ComponentType>;
// Each page comes when it is opened; the one that the address names is asked for before anything is drawn.
const PAGES: [RegExp, Loader][] = [
  [/^\/query\/?$/, () => import('../explore/page').then((m) => m.Explore)],
  [/^\/$/, () => import('../pages/overview').then((m) => m.Overview)],
  [/^\/targets\/?$/, () => import('../pages/targets').then((m) => m.Targets)],
  [/^\/service-discovery\/?$/, () => import('../pages/discovery').then((m) => m.Discovery)],
  [/^\/agents\/?$/, () => import('../pages/agents').then((m) => m.Agents)],
  [/^\/rehearse\/?$/, () => import('../pages/rehearse').then((m) => m.Rehearse)],
  [/^\/alerts\/?$/, () => import('../pages/alerts').then((m) => m.Alerts)],
  [/^\/rules\/?$/, () => import('../pages/rules').then((m) => m.Rules)],
  [/^\/alerting\/?$/, () => import('../pages/notifications').then((m) => m.Notifications)],
  [/^\/silences(\/.*)?$/, () => import('../pages/silences').then((m) => m.Silences)],
  [/^\/(status|tsdb-status|queries|flags|config|alertmanager-discovery)\/?$/, () => import('../pages/status').then((m) => m.StatusPage)],
  [/^\/dashboards\/?$/, () => import('../dash/list').then((m) => m.DashboardList)],
  [/^\/d\/.+$/, () => import('../dash/page').then((m) => m.DashboardPage)],
];

void PAGES.find(([pattern]) => pattern.test(path.value))?.[1]();

function Lazy({ load, name }: { load: Loader; name: string }) {
  const [page, setPage] = useState<{ name: string; View: ComponentType } | null>(null);
  const [failed, setFailed] = useState(false);
  useEffect(() => {
    let current = true;
    setFailed(false);
    load().then(
      (View) => current && setPage({ name, View }),
      () => current && setFailed(true),
    );
    return () => {
      current = false;
    };
  }, [name]);
  if (failed) {
    return (
      <main class="page">
        <div class="notice bad" role="alert">
          <div>This part of the page could not be loaded; the server may have been updated.</div>
          <button type="button" onClick={() => location.reload()}>
            Reload
          </button>
        </div>
      </main>
    );
  }
  if (page === null || page.name !== name) {
    return (
      <main class="page">
        <Skeleton />
      </main>
    );
  }
  return <page.View />;
}

function Content() {
  const here = path.value;
  const found = PAGES.find(([pattern]) => pattern.test(here));
  if (found) return <Lazy load={found[1]} name={String(found[0])} />;
  return (
    <main class="page" data-page="missing" id="main">
      <div class="empty">
        <h1>Nothing is kept at this address</h1>
        <p class="mono">{here}</p>
        <a href={href('/')}>To the overview</a>
      </div>
    </main>
  );
}

export function Shell() {
  useEffect(() => installKeys(), []);
  useEffect(() => void learnRole(), [recovered.value]);
  useEffect(() => void syncSettings(), []);
  const here = path.value;
  return (
    <>
      <header class="bar">
        <a class="mark" href={href('/')} aria-label="Vedette, overview">
          <Icon name="mark" size={22} />
          <span>Vedette</span>
        </a>
        <nav aria-label="Pages">
          {NAV.map(([to, text, pattern]) => (
            <a key={to} href={href(to)} aria-current={pattern.test(here) ? 'page' : undefined}>
              {text}
            </a>
          ))}
        </nav>
        <span class="spacer" />
        <button type="button" class="quiet" aria-label="Command palette, Ctrl K" title="Search metrics, dashboards, targets, pages" onClick={() => (paletteOpen.value = true)}>
          <Icon name="search" />
          <kbd>Ctrl K</kbd>
        </button>
        <button
          type="button"
          class="quiet"
          title="Time zone of everything shown"
          aria-label={`Time zone: ${settings.value.timezone === 'utc' ? 'UTC' : 'local'}`}
          onClick={() => change({ timezone: settings.value.timezone === 'utc' ? 'local' : 'utc' })}
        >
          <Icon name="globe" />
          {settings.value.timezone === 'utc' ? 'UTC' : 'Local'}
        </button>
        <button type="button" class="quiet icon-button" data-theme-toggle aria-label={dark.value ? 'Light theme' : 'Dark theme'} title="Theme (d)" onClick={toggleTheme}>
          <Icon name={dark.value ? 'sun' : 'moon'} />
        </button>
        <Menu button={<Icon name="list" />} label="More">
          {(close) => (
            <>
              <button type="button" onClick={() => (change({ density: settings.value.density === 'compact' ? 'comfortable' : 'compact' }), close())}>
                <Icon name={settings.value.density === 'compact' ? 'check' : 'list'} size={14} /> Compact rows
              </button>
              <button type="button" onClick={() => (change({ theme: 'system' }), close())}>
                <Icon name={settings.value.theme === 'system' ? 'check' : 'sun'} size={14} /> Theme of the system
              </button>
              <button type="button" onClick={() => ((keysOpen.value = true), close())}>
                <Icon name="keys" size={14} /> Keys
              </button>
            </>
          )}
        </Menu>
      </header>
      {!online.value && (
        <div class="banner" role="status" data-offline>
          <Icon name="warn" /> The server cannot be reached. What you see is the last answer; asking again.
        </div>
      )}
      <Content />
      {paletteOpen.value && <Palette onClose={() => (paletteOpen.value = false)} onGo={go} />}
      {keysOpen.value && (
        <Dialog title="Keys" onClose={() => (keysOpen.value = false)}>
          <table class="keys-table">
            <tbody>
              {KEYS.map(([keys, what]) => (
                <tr key={what}>
                  <td>
                    {keys.split(' ').map((k) => (
                      <kbd key={k}>{k}</kbd>
                    ))}
                  </td>
                  <td>{what}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </Dialog>
      )}
    </>
  );
}
