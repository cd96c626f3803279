#pragma once

#include "common/base/status.h"
#include "common/config/http_client.h"
#include "server/notify/http_port.h"
#include "server/notify/mail_port.h"
#include "server/notify/receiver.h"

// Our own HTTP and mail clients as the ports that server/notify asks for.
namespace vedette {

Result<notify::HttpClient> MakeNotifyClient(const config::HttpClientConfig& config);
Result<notify::HttpClient> MakeSigningNotifyClient(const config::HttpClientConfig& config,
                                                   const notify::AwsKeys& keys);
SendOutcome SendNotifyMail(const notify::Mail& mail);

}  // namespace vedette
