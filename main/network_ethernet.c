/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "esp_check.h"
#include "esp_eth.h"
#include "esp_event.h"
#include "esp_netif.h"
#include "ethernet_driver.h"
#include "network.h"

static const char *TAG = "network";

esp_err_t network_start(void)
{
    esp_eth_handle_t driver;
    const esp_netif_config_t config = ESP_NETIF_DEFAULT_ETH();

    ESP_RETURN_ON_ERROR(esp_netif_init(), TAG, "TCP/IP stack");
    ESP_RETURN_ON_ERROR(esp_event_loop_create_default(), TAG, "event loop");
    esp_netif_t *netif = esp_netif_new(&config);
    ESP_RETURN_ON_FALSE(netif != NULL, ESP_ERR_NO_MEM, TAG, "network interface");
    ESP_RETURN_ON_ERROR(ethernet_driver_install(&driver), TAG, "Ethernet driver");
    ESP_RETURN_ON_ERROR(esp_netif_attach(netif, esp_eth_new_netif_glue(driver)), TAG, "network interface");
    return esp_eth_start(driver);
}
