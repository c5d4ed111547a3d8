{{ config(materialized="view") }}

select id, symbol, quantity

from {{ ref("raw_orders") }}
