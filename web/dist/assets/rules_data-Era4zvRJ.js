import{z as a}from"./index-Drb8VmGR.js";function u(r,o){return a("rules",r===""?{}:{type:r},o).then(t=>t.data.groups)}export{u as l};
