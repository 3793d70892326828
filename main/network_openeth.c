/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "esp_check.h"
#include "esp_eth.h"
#include "esp_event.h"
#include "esp_idf_version.h"
#include "esp_netif.h"
#include "network.h"
#include "time_sync.h"

/* Any PHY driver does in QEMU; the two generations of ESP-IDF compile different ones without the ESP32's own MAC. */
#if ESP_IDF_VERSION >= ESP_IDF_VERSION_VAL(6, 0, 0)
#define new_phy esp_eth_phy_new_generic
#else
#define new_phy esp_eth_phy_new_dp83848
#endif

static const char *TAG = "network";

static esp_err_t install_driver(esp_eth_handle_t *driver)
{
    const eth_mac_config_t mac_config = ETH_MAC_DEFAULT_CONFIG();
    eth_phy_config_t phy_config = ETH_PHY_DEFAULT_CONFIG();
    phy_config.autonego_timeout_ms = 100; /* there is no other end */
    esp_eth_mac_t *mac = esp_eth_mac_new_openeth(&mac_config);
    esp_eth_phy_t *phy = new_phy(&phy_config);
    ESP_RETURN_ON_FALSE(mac != NULL && phy != NULL, ESP_ERR_NO_MEM, TAG, "Ethernet MAC and PHY");
    const esp_eth_config_t config = ETH_DEFAULT_CONFIG(mac, phy);
    return esp_eth_driver_install(&config, driver);
}

esp_err_t network_start(void)
{
    esp_eth_handle_t driver;
    const esp_netif_config_t config = ESP_NETIF_DEFAULT_ETH();

    ESP_RETURN_ON_ERROR(esp_netif_init(), TAG, "TCP/IP stack");
    ESP_RETURN_ON_ERROR(esp_event_loop_create_default(), TAG, "event loop");
    esp_netif_t *netif = esp_netif_new(&config);
    ESP_RETURN_ON_FALSE(netif != NULL, ESP_ERR_NO_MEM, TAG, "network interface");
    ESP_RETURN_ON_ERROR(install_driver(&driver), TAG, "Ethernet driver");
    ESP_RETURN_ON_ERROR(esp_netif_attach(netif, esp_eth_new_netif_glue(driver)), TAG, "network interface");
    ESP_RETURN_ON_ERROR(esp_eth_start(driver), TAG, "Ethernet start");
    return time_sync_start();
}
