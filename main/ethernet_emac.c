/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "esp_check.h"
#include "esp_eth.h"
#include "ethernet_driver.h"
#include "sdkconfig.h"

static const char *TAG = "network";

/* The chip's own MAC on the pins that ESP-IDF gives it, with any PHY that keeps to IEEE 802.3. */
esp_err_t ethernet_driver_install(esp_eth_handle_t *driver)
{
    const eth_mac_config_t mac_config = ETH_MAC_DEFAULT_CONFIG();
    const eth_esp32_emac_config_t emac_config = ETH_ESP32_EMAC_DEFAULT_CONFIG();
    eth_phy_config_t phy_config = ETH_PHY_DEFAULT_CONFIG();
    phy_config.reset_gpio_num = CONFIG_CERT_APP_ETH_PHY_RESET_GPIO;
    esp_eth_mac_t *mac = esp_eth_mac_new_esp32(&emac_config, &mac_config);
    esp_eth_phy_t *phy = esp_eth_phy_new_generic(&phy_config);
    ESP_RETURN_ON_FALSE(mac != NULL && phy != NULL, ESP_ERR_NO_MEM, TAG, "Ethernet MAC and PHY");
    const esp_eth_config_t config = ETH_DEFAULT_CONFIG(mac, phy);
    return esp_eth_driver_install(&config, driver);
}
