#include <string>

#include "agent/host/collector_groups.h"
#include "agent/host/files.h"
#include "common/base/strings.h"

namespace vedette::agent {
namespace {

constexpr NumberFile kInfinibandCounters[] = {
    {"counters_ext/port_multicast_rcv_packets",
     "node_infiniband_legacy_multicast_packets_received_total",
     "Number of multicast packets received", MetricType::kCounter},
    {"counters_ext/port_multicast_xmit_packets",
     "node_infiniband_legacy_multicast_packets_transmitted_total",
     "Number of multicast packets transmitted", MetricType::kCounter},
    // Data are counted in words of four bytes.
    {"counters_ext/port_rcv_data_64", "node_infiniband_legacy_data_received_bytes_total",
     "Number of data octets received on all links", MetricType::kCounter, 4},
    {"counters_ext/port_rcv_packets_64", "node_infiniband_legacy_packets_received_total",
     "Number of data packets received on all links", MetricType::kCounter},
    {"counters_ext/port_unicast_rcv_packets",
     "node_infiniband_legacy_unicast_packets_received_total", "Number of unicast packets received",
     MetricType::kCounter},
    {"counters_ext/port_unicast_xmit_packets",
     "node_infiniband_legacy_unicast_packets_transmitted_total",
     "Number of unicast packets transmitted", MetricType::kCounter},
    {"counters_ext/port_xmit_data_64", "node_infiniband_legacy_data_transmitted_bytes_total",
     "Number of data octets transmitted on all links", MetricType::kCounter, 4},
    {"counters_ext/port_xmit_packets_64", "node_infiniband_legacy_packets_transmitted_total",
     "Number of data packets transmitted on all links", MetricType::kCounter},
    {"counters/link_downed", "node_infiniband_link_downed_total",
     "Number of times the link failed to recover from an error state and went down",
     MetricType::kCounter},
    {"counters/link_error_recovery", "node_infiniband_link_error_recovery_total",
     "Number of times the link successfully recovered from an error state", MetricType::kCounter},
    {"counters/multicast_rcv_packets", "node_infiniband_multicast_packets_received_total",
     "Number of multicast packets received (including errors)", MetricType::kCounter},
    {"counters/multicast_xmit_packets", "node_infiniband_multicast_packets_transmitted_total",
     "Number of multicast packets transmitted (including errors)", MetricType::kCounter},
    {"counters/port_rcv_constraint_errors", "node_infiniband_port_constraint_errors_received_total",
     "Number of packets received on the switch physical port that are discarded",
     MetricType::kCounter},
    {"counters/port_xmit_constraint_errors",
     "node_infiniband_port_constraint_errors_transmitted_total",
     "Number of packets not transmitted from the switch physical port", MetricType::kCounter},
    {"counters/port_rcv_data", "node_infiniband_port_data_received_bytes_total",
     "Number of data octets received on all links", MetricType::kCounter, 4},
    {"counters/port_xmit_data", "node_infiniband_port_data_transmitted_bytes_total",
     "Number of data octets transmitted on all links", MetricType::kCounter, 4},
    {"counters/port_rcv_discards", "node_infiniband_port_discards_received_total",
     "Number of inbound packets discarded by the port because the port is down or congested",
     MetricType::kCounter},
    {"counters/port_rcv_remote_physical_errors",
     "node_infiniband_port_receive_remote_physical_errors_total",
     "Number of packets marked with the EBP (End of Bad Packet) delimiter received on the port",
     MetricType::kCounter},
    {"counters/port_rcv_switch_relay_errors",
     "node_infiniband_port_receive_switch_relay_errors_total",
     "Number of packets that could not be forwarded by the switch", MetricType::kCounter},
    {"counters/symbol_error", "node_infiniband_symbol_error_total",
     "Number of minor link errors detected on one or more physical lanes", MetricType::kCounter},
    {"counters/VL15_dropped", "node_infiniband_vl15_dropped_total",
     "Number of incoming VL15 packets dropped due to resource limitations",
     MetricType::kCounter},
    {"counters/port_xmit_discards", "node_infiniband_port_discards_transmitted_total",
     "Number of outbound packets discarded by the port because the port is down or congested",
     MetricType::kCounter},
    {"counters/port_rcv_errors", "node_infiniband_port_errors_received_total",
     "Number of packets containing an error that were received on this port",
     MetricType::kCounter},
    {"counters/port_rcv_packets", "node_infiniband_port_packets_received_total",
     "Number of packets received on all VLs by this port (including errors)",
     MetricType::kCounter},
    {"counters/port_xmit_packets", "node_infiniband_port_packets_transmitted_total",
     "Number of packets transmitted on all VLs from this port (including errors)",
     MetricType::kCounter},
    {"counters/port_xmit_wait", "node_infiniband_port_transmit_wait_total",
     "Number of ticks during which the port had data to transmit but no data was sent",
     MetricType::kCounter},
    {"counters/unicast_rcv_packets", "node_infiniband_unicast_packets_received_total",
     "Number of unicast packets received (including errors)", MetricType::kCounter},
    {"counters/unicast_xmit_packets", "node_infiniband_unicast_packets_transmitted_total",
     "Number of unicast packets transmitted (including errors)", MetricType::kCounter},
};

// What the adapter counts of RDMA traffic, since Linux 4.6; which files there are is the driver's.
constexpr NumberFile kHardwareCounters[] = {
    {"hw_counters/lifespan", "node_infiniband_lifespan_seconds",
     "How long the adapter keeps what it counted before it counts anew.", MetricType::kGauge, 1e-3},
    {"hw_counters/duplicate_request", "node_infiniband_duplicate_requests_packets_total",
     "Requests that were received more than once.", MetricType::kCounter},
    {"hw_counters/implied_nak_seq_err", "node_infiniband_implied_nak_seq_errors_total",
     "Times the requester found an acknowledgement with a sequence number larger than expected.",
     MetricType::kCounter},
    {"hw_counters/local_ack_timeout_err", "node_infiniband_local_ack_timeout_errors_total",
     "Times a queue pair's acknowledgement timer ran out.", MetricType::kCounter},
    {"hw_counters/np_cnp_sent", "node_infiniband_np_cnp_packets_sent_total",
     "Congestion notifications sent by the notification point.", MetricType::kCounter},
    {"hw_counters/np_ecn_marked_roce_packets",
     "node_infiniband_np_ecn_marked_roce_packets_received_total",
     "RoCE packets received with a mark of congestion.", MetricType::kCounter},
    {"hw_counters/out_of_buffer", "node_infiniband_out_of_buffer_drops_total",
     "Packets dropped as a queue pair had no work request for them.", MetricType::kCounter},
    {"hw_counters/out_of_sequence", "node_infiniband_out_of_sequence_packets_received_total",
     "Packets received out of sequence.", MetricType::kCounter},
    {"hw_counters/packet_seq_err", "node_infiniband_packet_sequence_errors_total",
     "Negative acknowledgements received for a sequence error.", MetricType::kCounter},
    {"hw_counters/req_cqe_error", "node_infiniband_req_cqes_errors_total",
     "Completions with errors at the requester.", MetricType::kCounter},
    {"hw_counters/req_cqe_flush_error", "node_infiniband_req_cqes_flush_errors_total",
     "Completions flushed with errors at the requester.", MetricType::kCounter},
    {"hw_counters/req_remote_access_errors", "node_infiniband_req_remote_access_errors_total",
     "Remote access errors found by the requester.", MetricType::kCounter},
    {"hw_counters/req_remote_invalid_request",
     "node_infiniband_req_remote_invalid_request_errors_total",
     "Invalid requests found by the requester.", MetricType::kCounter},
    {"hw_counters/resp_cqe_error", "node_infiniband_resp_cqes_errors_total",
     "Completions with errors at the responder.", MetricType::kCounter},
    {"hw_counters/resp_cqe_flush_error", "node_infiniband_resp_cqes_flush_errors_total",
     "Completions flushed with errors at the responder.", MetricType::kCounter},
    {"hw_counters/resp_local_length_error", "node_infiniband_resp_local_length_errors_total",
     "Local length errors found by the responder.", MetricType::kCounter},
    {"hw_counters/resp_remote_access_errors", "node_infiniband_resp_remote_access_errors_total",
     "Remote access errors found by the responder.", MetricType::kCounter},
    {"hw_counters/rnr_nak_retry_err", "node_infiniband_rnr_nak_retry_packets_received_total",
     "Answers of a receiver that was not ready.", MetricType::kCounter},
    {"hw_counters/roce_adp_retrans", "node_infiniband_roce_adp_retransmits_total",
     "Adaptive retransmissions of RoCE traffic.", MetricType::kCounter},
    {"hw_counters/roce_adp_retrans_to", "node_infiniband_roce_adp_retransmits_timeout_total",
     "Timeouts of RoCE traffic due to adaptive retransmission.", MetricType::kCounter},
    {"hw_counters/roce_slow_restart", "node_infiniband_roce_slow_restart_used_total",
     "Times RoCE's slow restart was used.", MetricType::kCounter},
    {"hw_counters/roce_slow_restart_cnps", "node_infiniband_roce_slow_restart_cnps_total",
     "Congestion notifications that RoCE's slow restart made.", MetricType::kCounter},
    {"hw_counters/roce_slow_restart_trans", "node_infiniband_roce_slow_restart_total",
     "Times RoCE changed its state to slow restart.", MetricType::kCounter},
    {"hw_counters/rp_cnp_handled", "node_infiniband_rp_cnp_packets_handled_total",
     "Congestion notifications handled by the reaction point.", MetricType::kCounter},
    {"hw_counters/rp_cnp_ignored", "node_infiniband_rp_cnp_ignored_packets_received_total",
     "Congestion notifications ignored by the reaction point.", MetricType::kCounter},
    {"hw_counters/rx_atomic_requests", "node_infiniband_rx_atomic_requests_total",
     "Atomic requests received.", MetricType::kCounter},
    {"hw_counters/rx_dct_connect", "node_infiniband_rx_dct_connect_requests_total",
     "Connection requests received for dynamically connected targets.", MetricType::kCounter},
    {"hw_counters/rx_icrc_encapsulated", "node_infiniband_rx_icrc_encapsulated_errors_total",
     "RoCE packets received with an error of their invariant checksum.", MetricType::kCounter},
    {"hw_counters/rx_read_requests", "node_infiniband_rx_read_requests_total",
     "Read requests received.", MetricType::kCounter},
    {"hw_counters/rx_write_requests", "node_infiniband_rx_write_requests_total",
     "Write requests received.", MetricType::kCounter},
};

Status CollectInfiniband(const Host& host, MetricSink& sink) {
  const std::string root = host.Sys("class/infiniband");
  const auto names = ListDirectory(root);
  if (names.empty()) return NotFound(StrCat(root, " is missing or empty"));
  for (const std::string& device : names) {
    const std::string dir = StrCat(root, "/", device, "/");
    sink.Family("node_infiniband_info", MetricType::kGauge,
                "Non-numeric data from /sys/class/infiniband/<device>, value is always 1.");
    sink.Add({{"device", device},
              {"board_id", ReadAttribute(dir + "board_id").value_or("")},
              {"firmware_version", ReadAttribute(dir + "fw_ver").value_or("")},
              {"hca_type", ReadAttribute(dir + "hca_type").value_or("")}},
             1);
    for (const std::string& port : ListDirectory(dir + "ports")) {
      const std::string port_dir = StrCat(dir, "ports/", port);
      // "4: ACTIVE", "40 Gb/sec (4X QDR)": the number is what counts.
      static constexpr NumberFile kStates[] = {
          {"state", "node_infiniband_state_id",
           "State of the InfiniBand port (0: no change, 1: down, 2: init, 3: armed, 4: active, "
           "5: act defer)"},
          {"phys_state", "node_infiniband_physical_state_id",
           "Physical state of the InfiniBand port (0: no change, 1: sleep, 2: polling, 3: disable, "
           "4: shift, 5: link up, 6: link error recover, 7: phytest)"},
          {"rate", "node_infiniband_rate_bytes_per_second", "Maximum signal transfer rate",
           MetricType::kGauge, 1e9 / 8}};
      AddNumberFiles(port_dir, kStates, {{"device", device}, {"port", port}}, sink);
      AddNumberFiles(port_dir, kInfinibandCounters, {{"device", device}, {"port", port}}, sink);
      AddNumberFiles(port_dir, kHardwareCounters, {{"device", device}, {"port", port}}, sink);
    }
  }
  return {};
}

}  // namespace

void AddInfinibandCollectors(const HostPtr& host, Collectors& out) {
  Add(out, {"infiniband", "/sys/class/infiniband"}, host, CollectInfiniband);
}

}  // namespace vedette::agent
