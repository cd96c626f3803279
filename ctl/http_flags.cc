#include "ctl/http_flags.h"

#include <CLI/CLI.hpp>

namespace vedette::ctl {

void AddHttpFlags(CLI::App* to, HttpApi& api) {
  to->add_option("--url,--alertmanager.url", api.url,
                 "HTTP address of the server, or of an Alertmanager (VEDETTE_URL; default "
                 "http://localhost:9090)");
  to->add_option("--username", api.username, "User, for basic authentication");
  to->add_option("--password-file", api.password_file, "File with the user's password");
  to->add_option("--token-file", api.token_file, "File with a bearer token");
  to->add_option("--tls-ca", api.ca_file, "CA certificate of the server (PEM)");
  to->add_option("--tls-cert", api.cert_file, "Our certificate, if the server asks");
  to->add_option("--tls-key", api.key_file, "Its key");
  to->add_flag("--tls-insecure", api.insecure_skip_verify,
               "Believe any certificate of the server");
}

}  // namespace vedette::ctl
