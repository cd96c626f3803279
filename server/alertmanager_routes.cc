#include "server/alertmanager_routes.h"

#include "common/base/strings.h"
#include "server/serve.h"

namespace vedette {

void AddAlertmanagerRoutes(http::Router& router, const std::string& prefix,
                           api::AlertmanagerDoor& door) {
  using api::Call;
  api::AlertmanagerDoor* const d = &door;
  for (const std::string& base : {prefix + "/api/v2", prefix + "/alertmanager/api/v2"}) {
    const auto add = [&](const char* method, const char* path, ApiHandler handler) {
      router.Handle(method, base + path, Serve(std::move(handler)));
    };
    add("GET", "/status", [d](const Call& c) { return d->Status(c); });
    add("GET", "/receivers", [d](const Call& c) { return d->Receivers(c); });
    add("GET", "/alerts", [d](const Call& c) { return d->Alerts(c); });
    add("POST", "/alerts", [d](const Call& c) { return d->PostAlerts(c); });
    add("GET", "/alerts/groups", [d](const Call& c) { return d->Groups(c); });
    add("GET", "/silences", [d](const Call& c) { return d->Silences(c); });
    add("POST", "/silences", [d](const Call& c) { return d->PostSilence(c); });
    add("POST", "/silences/preview", [d](const Call& c) { return d->PreviewSilence(c); });
    add("GET", "/silence/:id", [d](const Call& c) { return d->Silence(c); });
    add("DELETE", "/silence/:id", [d](const Call& c) { return d->ExpireSilence(c); });
  }
  router.Handle("GET", prefix + "/api/v1/history/alerts",
                Serve([d](const Call& c) { return d->AlertHistory(c); }));
  router.Handle("GET", prefix + "/api/v1/history/notifications",
                Serve([d](const Call& c) { return d->NotificationHistory(c); }));
}

}  // namespace vedette
