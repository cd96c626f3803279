import type { ComponentType, VNode } from 'preact';
import { useEffect, useState } from 'preact/hooks';

// A part of a page that comes when it is first shown; until then `waiting` stands in its place.
//
//   const Explain = lazy(() => import('./explain').then((m) => m.Explain));
export function lazy<P extends object>(load: () => Promise<ComponentType<P>>, waiting: () => VNode | null = () => null): ComponentType<P> {
  let known: ComponentType<P> | null = null;
  return function Lazy(props: P) {
    const [, setReady] = useState(known !== null);
    useEffect(() => {
      if (known !== null) return;
      let current = true;
      void load().then((view) => {
        known = view;
        if (current) setReady(true);
      });
      return () => {
        current = false;
      };
    }, []);
    const View = known;
    return View === null ? waiting() : <View {...props} />;
  };
}
