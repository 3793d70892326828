/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "network_watch.h"

#include "esp_check.h"
#include "esp_event.h"
#include "esp_netif.h"
#include "event_queue.h"

static const char *TAG = "cert_agent";

static void on_ip_event(void *ctx, esp_event_base_t base, int32_t id, void *data)
{
    (void)ctx;
    (void)base;
    (void)id;
    (void)data;
    const event_t event = { .type = EVENT_NETWORK };
    event_queue_post(&event);
}

esp_err_t network_watch_start(void)
{
    ESP_RETURN_ON_ERROR(esp_event_handler_register(IP_EVENT, ESP_EVENT_ANY_ID, on_ip_event, NULL), TAG,
                        "there is no default event loop: call esp_event_loop_create_default() first");
    return ESP_OK;
}

static bool has_address(esp_netif_t *netif)
{
    esp_netif_ip_info_t ip4;
    bool has_ip4 = esp_netif_get_ip_info(netif, &ip4) == ESP_OK && ip4.ip.addr != 0;
#if CONFIG_LWIP_IPV6
    esp_ip6_addr_t ip6;
    return has_ip4 || esp_netif_get_ip6_global(netif, &ip6) == ESP_OK;
#else
    return has_ip4;
#endif
}

/* A network of our own, such as a soft access point, leads to no broker. */
static bool leads_out(esp_netif_t *netif, void *ctx)
{
    (void)ctx;
    bool is_own = (esp_netif_get_flags(netif) & ESP_NETIF_DHCP_SERVER) != 0;
    return !is_own && esp_netif_is_netif_up(netif) && has_address(netif);
}

bool network_watch_is_up(void)
{
    return esp_netif_get_nr_of_ifs() > 0 && esp_netif_find_if(leads_out, NULL) != NULL;
}
